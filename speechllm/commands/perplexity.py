"""perplexity of texts under a recogniser's own LLM, or under a language model (stage 6)"""

import argparse
import logging
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

PATIENCE = 60.0  # seconds to wait while another process writes its results

VERIFIES = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm perplexity`."""
    parser.add_argument("--model", required=True, type=Path, help="folder of a trained run")
    parser.add_argument(
        "--lm", help="measure this language model instead, on the tokens of --model"
    )
    parser.add_argument(
        "--fold",
        nargs="+",
        default=[],
        choices=["nfc", "lower", "upper", "punctuation"],
        help="forms that the words are brought into before --lm is asked for them; punctuation "
        "is left out",
    )
    parser.add_argument(
        "--dump", type=Path, help="root of the feature cache; for speech in the slot"
    )
    parser.add_argument("--data", required=True, nargs="+", type=Path, help="data dirs")


def run(args: argparse.Namespace) -> None:
    """Write perplexity.json to the folder of the measured model; earlier results stay.

    Raises:
        ConfigError: `--fold` without `--lm`, or there is no folder `--model`.
    """
    from speechllm.decode.words.transcript_perplexity import FILE
    from speechllm.errors import ConfigError
    from speechllm.files.layout import DESCRIPTION, MODEL, TENSORS
    from speechllm.files.locks import LOCK, locked
    from speechllm.files.made_from import is_sealed, sealed_file
    from speechllm.files.own import read_mapping
    from speechllm.files.whole import beside, clean_up, dump_json, sha256_of
    from speechllm.lm.folder import find_lm, lm_hash
    from speechllm.model.bundle_record import check_bundle
    from speechllm.model.description import task_of

    task = task_of(args.model)
    if args.fold and not args.lm:
        raise ConfigError("--fold is of the words that --lm is asked for", "leave it out")
    if not args.model.is_dir():
        raise ConfigError(f"--model: there is no folder {args.model}", "make it: stages 4 and 5")
    if args.lm:
        measured = find_lm(args.lm, "--lm")
        folder = measured if measured.is_dir() else measured.parent
        digest = lm_hash(measured)
    else:
        if not task.is_read:
            log.info("%s: answers of the task %s are no text", args.model, task.name)
            return
        folder, bundle = args.model, args.model / MODEL
        check_bundle(bundle)
        digest = sha256_of([bundle / TENSORS, bundle / DESCRIPTION])
    path = folder / FILE
    figures: dict[str, Any] = read_mapping(path) if is_sealed(path) else {}
    texts = {p: sha256_of([p / table for table in task.tables]) for p in args.data}
    fold = {"fold": args.fold} if args.lm else {}
    made_from = {
        p: {"model": digest, "text": texts[p], **fold, **_samples(args, p)} for p in args.data
    }
    left = [p for p in args.data if not _is_same(figures.get(p.name), made_from[p])]
    for place in left:
        if not args.lm and args.dump is None and (place / "wav.scp").is_file():
            log.warning("%s: without --dump, the slot is left empty", place)
    if left:
        found = _under_lm(args, left) if args.lm else _under_llm(args, left)
        with locked(beside(path, LOCK), path, patience=PATIENCE):  # other processes add theirs
            figures = read_mapping(path) if is_sealed(path) else {}
            for place in left:
                figures[place.name] = found[place] | {"made_from": made_from[place]}
            with sealed_file(path) as stream:
                dump_json(figures, stream)
    else:
        clean_up(beside(path, LOCK))
    for place in args.data:
        for name, values in figures[place.name].items():
            if name == "made_from":
                continue
            said = f"{values['word']:.2f} by word, {values['token']:.2f} by token"
            if "unknown" in values:
                unknown, percent = values["unknown"], values["unknown_percent"]
                said += f"; {unknown} of its words ({percent} %) are unknown"
            print(f"{folder} {place.name} {name}: {said}")
            if "warning" in values:
                log.warning("%s: %s", place, values["warning"])


def _samples(args: argparse.Namespace, path: Path) -> dict[str, str]:
    """Hash of the audio in the slot, if there is audio and its hash is known."""
    from speechllm.data.dirs.kaldi import DataDir
    from speechllm.data.speech.features import check_features
    from speechllm.files.layout import MODEL
    from speechllm.model.bundle_record import model_config

    if args.lm or args.dump is None or not (path / "wav.scp").is_file():
        return {}
    model, data_dir = model_config(args.model / MODEL), DataDir.load(path, with_text=False)
    check_features(args.dump, model.audio_model, data_dir, model.encoder_settings)
    return {"samples": data_dir.samples} if data_dir.samples else {}


def _is_same(figures: dict[str, Any] | None, made_from: dict[str, Any]) -> bool:
    """Whether earlier results were made from the same; older versions did not record the audio."""
    before = (figures or {}).get("made_from", {})
    return before == {k: v for k, v in made_from.items() if k != "samples" or k in before}


def _under_llm(args: argparse.Namespace, paths: list[Path]) -> dict[Path, dict[str, Any]]:
    import torch

    from speechllm.decode.words.transcript_perplexity import slot_perplexities
    from speechllm.files.layout import MODEL
    from speechllm.model.bundle import load_bundle
    from speechllm.slot.corpus import Corpus

    model = load_bundle(args.model / MODEL).to("cuda" if torch.cuda.is_available() else "cpu")
    found = {}
    for path in paths:
        corpus = Corpus.load([path])
        if args.dump and corpus.has_audio:
            corpus.open_frames(args.dump, model.config.audio_model, model.config.encoder_settings)
        found[path] = slot_perplexities(
            model, corpus.measure(model.tokenizer, model.projector.output_length)
        )
    return found


def _under_lm(args: argparse.Namespace, paths: list[Path]) -> dict[Path, dict[str, Any]]:
    import torch

    from speechllm.data.dirs.answers import read_targets
    from speechllm.data.dirs.forms import fold
    from speechllm.data.dirs.kaldi import DataDir
    from speechllm.files.layout import MODEL
    from speechllm.lm.folder import find_lm, load_lm
    from speechllm.lm.make import ngram_perplexity, tokenised
    from speechllm.lm.ngram import NGram
    from speechllm.model.bundle import read_bundle
    from speechllm.model.description import task_of
    from speechllm.model.speech_llm import SpeechLLM

    task = task_of(args.model)
    place, tokenizer = find_lm(args.lm, "--lm"), None
    if place.is_dir():  # an n-gram reads words
        with torch.device("meta"):
            tokenizer = SpeechLLM(read_bundle(args.model / MODEL)[0]).tokenizer
    lm = load_lm(place, "--lm", tokenizer, "cuda" if torch.cuda.is_available() else "cpu")
    found: dict[Path, dict[str, Any]] = {}
    for path in paths:
        text = list(read_targets(task, DataDir.load(path)).values())
        if isinstance(lm, NGram):
            measured = ngram_perplexity(lm, text, args.fold)
        else:
            folded = [fold(line, args.fold) for line in text]
            measured = lm.perplexity(tokenised(tokenizer, folded))
        found[path] = {"text": measured.figures()}
        if (fit := measured.fit) and fit.is_odd():
            remedy = f"give --fold {' '.join(fit.folds)}" if fit.folds else "make it of such text"
            found[path]["text"]["warning"] = f"{fit.says_unknown('words', args.lm)}: {remedy}"
    return found
