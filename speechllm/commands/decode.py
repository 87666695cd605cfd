"""decode test sets with one model by batched beam search"""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speechllm.decode.config import DecodeConfig

log = logging.getLogger(__name__)

VERIFIES = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm decode`."""
    parser.add_argument("--config", required=True, type=Path, help="yaml of DecodeConfig")
    parser.add_argument("--model", required=True, type=Path, help="folder of a trained run")
    parser.add_argument("--dump", required=True, type=Path, help="root of the feature cache")
    parser.add_argument("--data", required=True, nargs="+", type=Path, help="data dirs with audio")
    parser.add_argument("--tag", help="of the folder decode_<tag> (default: the config's name)")
    parser.add_argument("--target", help="what {target} in the config stands for")
    parser.add_argument(
        "--exp", default="exp", help="what {exp} in it stands for (default: %(default)s)"
    )
    parser.add_argument(
        "--dev", type=Path, help="data dir on which weights that are null are tuned"
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change the config")


def run(args: argparse.Namespace) -> None:
    """Tune the weights that are null, then decode the sets that are not decoded yet."""
    from speechllm.config import parse, read_yaml
    from speechllm.data.dirs.kaldi import DataDir
    from speechllm.data.speech.features import check_features
    from speechllm.decode.config import DecodeConfig
    from speechllm.decode.results import is_decoded, tuning_settings
    from speechllm.decode.scorers.build import knowledge_hashes, with_places
    from speechllm.decode.tuning.weights import check_tuning, read_boost, read_tuning
    from speechllm.experiment import decode_folder, stem
    from speechllm.files.layout import MODEL
    from speechllm.files.locks import LOCK
    from speechllm.files.whole import clean_up
    from speechllm.model.adaptation_weight import check_adapted, weigh_adaptation
    from speechllm.model.bundle_record import check_bundle, model_config
    from speechllm.model.description import task_of

    places = {"target": args.target, "exp": args.exp}
    values = with_places(read_yaml(args.config, args.overrides), places)
    task = task_of(args.model)
    config = task.with_decode_defaults(parse(DecodeConfig, values, args.config))
    _check_dev(args, config)
    bundle, folder = args.model / MODEL, args.model / decode_folder(args.tag or stem(args.config))
    check_bundle(bundle)
    check_adapted(bundle, config.adapted)
    recogniser = model_config(bundle)

    def open_set(path: Path) -> DataDir:
        data_dir, settings = DataDir.load(path), recogniser.encoder_settings
        check_features(args.dump, recogniser.audio_model, data_dir, settings)
        return data_dir

    hashes = knowledge_hashes(config)
    tuning = boost = None
    if config.untuned:
        place = folder / "tuning" / args.dev.name
        if tuning := read_tuning(place):
            made_from = tuning_settings(open_set(args.dev), bundle, config, hashes, task)
            check_tuning(tuning.made_from, made_from, place)
            clean_up(place / LOCK)
    if config.open_boost:
        boost_place = folder / "tuning_boost" / args.dev.name
        if (tuning or not config.untuned) and (boost := read_boost(boost_place)):
            tuned = tuning.apply(config) if tuning else config
            made_from = tuning_settings(open_set(args.dev), bundle, tuned, hashes, task)
            check_tuning(boost.made_from, made_from, boost_place)
            clean_up(boost_place / LOCK)
    out = {path: folder / path.name for path in args.data}
    if (tuning or not config.untuned) and (boost or not config.open_boost):
        final = tuning.apply(config) if tuning else config
        final = boost.apply(final) if boost else final
        sets = {path: open_set(path) for path in args.data}
        left = [p for p in args.data if not is_decoded(sets[p], bundle, final, hashes, out[p])]
    else:
        left = args.data
    for path in args.data:
        if path not in left:
            clean_up(out[path] / LOCK)
            log.info("%s: decoded already", out[path])
    if not left:
        return

    import torch

    from speechllm.decode.decode_sets import decode_corpus
    from speechllm.decode.decoder import Decoder
    from speechllm.decode.tuning.tune_boost import tune_boost
    from speechllm.decode.tuning.tune_weights import tune_on
    from speechllm.files.locks import locked_folder
    from speechllm.model.bundle import load_bundle
    from speechllm.slot.corpus import Corpus

    model = load_bundle(bundle)
    weigh_adaptation(model, config.adapted)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    model.freeze_for_search(config.precision)

    def open_corpus(path: Path) -> Corpus:
        corpus = Corpus.load([path])
        corpus.open_frames(args.dump, model.config.audio_model, model.config.encoder_settings)
        return corpus.measure(model.tokenizer, model.projector.output_length)

    extra, main = {}, task.main.title
    if config.untuned:
        with locked_folder(place):
            tuning = tune_on(model, open_corpus(args.dev), bundle, config, place)
        log.info("tuned on %s: %s %.2f with %s", tuning.dev, main, tuning.error, tuning.chosen)
        config, extra = tuning.apply(config), {"tuning": tuning.summary()}
    if config.open_boost:
        with locked_folder(boost_place):
            boost = tune_boost(model, open_corpus(args.dev), bundle, config, boost_place)
        log.info("tuned on %s: %s %.2f with boost %g", boost.dev, main, boost.error, boost.chosen)
        config, extra = boost.apply(config), {**extra, "boost_tuning": boost.summary()}
    decoder = Decoder.load(model, config)
    for path in left:
        decode_corpus(decoder, open_corpus(path), bundle, out[path], extra)


def _check_dev(args: argparse.Namespace, config: "DecodeConfig") -> None:
    """Raise ConfigError if weights need a dev set and there is none, or it is also a test set."""
    from speechllm.errors import ConfigError

    if config.left_open and args.dev is None:
        raise ConfigError(
            f"{args.config}: {' and '.join(config.left_open)}: null is tuned on a dev set",
            "name it: --dev data/<target>_dev; or give the weight, such as "
            f"{config.left_open[0]}=0.5",
        )
    if args.dev in args.data:
        raise ConfigError(f"weights tuned on {args.dev} cannot be tested on it")
