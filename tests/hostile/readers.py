"""What reads the inputs that are not read by a command alone; each is given overrides."""

import contextlib
import json
from pathlib import Path
from unittest import mock

from speechllm import cli
from tests.hostile.inputs import TEXT


def base(given: list[str]) -> None:
    from speechllm.config import BaseConfig, load

    load(BaseConfig, Path("conf/standins/base.yaml"), given)


def decode_config(given: list[str]) -> None:
    from speechllm.config import load
    from speechllm.decode.config import DecodeConfig

    for path in sorted(Path("conf/standins/decode").glob("*.yaml")):
        load(DecodeConfig, path, given)


def method(given: list[str]) -> None:
    from speechllm.adapt.method import load_method

    for path in sorted(Path("conf/standins/methods").glob("*.yaml")):
        load_method(path, given)


def lm_config(given: list[str]) -> None:
    from speechllm.lm.config import load_lm_config

    for path in sorted(Path("conf/standins/lm").glob("*.yaml")):
        load_lm_config(path, given)


def grid(given: list[str]) -> None:
    from speechllm.compare.plan import load_grid, plan

    grid = load_grid(Path("conf/standins/compare.yaml"), given)
    plan(grid, Path("exp/base/x"), ["agriculture", "music"])


def arpa(given: list[str]) -> None:
    _arpa("x.arpa")


def arpa_gz(given: list[str]) -> None:
    _arpa("x.arpa.gz")


def _arpa(name: str) -> None:
    from speechllm.lm.arpa import read_arpa

    read_arpa(name).score(["hello", "world"])


def ark(given: list[str]) -> None:
    _ark("feats.scp")


def older_ark(given: list[str]) -> None:
    _ark("older/feats.scp")


def _ark(name: str) -> None:
    from speechllm.data.speech.ark import ArkReader

    reader = ArkReader(Path(name))
    for utt in reader:
        reader[utt]


def bias_lists(given: list[str]) -> None:
    from speechllm.data.dirs.bias_lists import read_bias_lists

    read_bias_lists(Path("data/x"), TEXT)


def lexicon(given: list[str]) -> None:
    from speechllm.slot.text.spelling import read_lexicon

    read_lexicon("lexicon")


def phrases(given: list[str]) -> None:
    from speechllm.adapt.made.selection import read_phrases

    read_phrases("list")


def tasks(given: list[str]) -> None:
    from speechllm.jobs.runner import read_tasks

    read_tasks(Path("tasks"), Path("out/x.JOB.log"))


def bundles(given: list[str]) -> None:
    from speechllm.model.bundle import read_bundle
    from speechllm.model.description import labels_of, task_of

    task_of(Path("exp/base")), labels_of(Path("exp/base"))
    read_bundle(Path("exp/base/model"))


def run_folder(given: list[str]) -> None:
    from speechllm.adapt.folder import RunInputs, is_finished
    from speechllm.config import BaseConfig

    train = {"steps": 5}
    config = BaseConfig.model_validate({"model": {"encoder": "e", "llm": "l"}, "train": train})
    is_finished(Path("exp/base"), config, RunInputs({"train": ["a"]}))


def checkpoint(given: list[str]) -> None:
    import torch

    from speechllm.train.checkpoint import load_checkpoint

    module = torch.nn.Module()
    module.x = torch.nn.Parameter(torch.zeros(3))
    load_checkpoint(Path("exp/base/checkpoint.safetensors"), module, [])


def log(given: list[str]) -> None:
    from speechllm.train.metrics import MetricLog

    MetricLog(Path("exp/base"), 2).close()


def done(given: list[str]) -> None:
    from speechllm.jobs.runner import Job

    Job(1, ["true"], Path("x.log")).code()


def pack(given: list[str]) -> None:
    from speechllm.pack.manifest import read_manifest

    read_manifest(Path("packed"))


def load_pack(given: list[str]) -> None:
    from speechllm.transcribe.load import load_parts

    load_parts("packed", device="cpu")


def load_signed_pack(given: list[str]) -> None:
    """Load a pack whose maker has given every file the hash that it has."""
    _sign(Path("packed"))
    load_pack(given)


def _sign(packed: Path) -> None:
    from speechllm.files.made_from import digest
    from speechllm.files.whole import sha256_of
    from speechllm.pretrained import weights_hash

    with contextlib.suppress(Exception):
        (packed / "SHA256SUMS").unlink()  # older versions wrote none
        base = packed / "base/trained.safetensors"
        for bundle in (packed / "base", *packed.glob("domains/*")):
            described = json.loads((bundle / "model.json").read_text())
            described["sha256"] = digest(bundle / "trained.safetensors")
            described |= {"parent_sha256": sha256_of([base])} if "parent" in described else {}
            (bundle / "model.json").write_text(json.dumps(described))
    with contextlib.suppress(Exception):
        manifest = json.loads((packed / "pack.json").read_text())
        for domain, trained in manifest["domains"].items():
            bundle = packed / "base" if domain == "base" else packed / "domains" / domain
            trained["sha256"] = sha256_of([bundle / "trained.safetensors"])
        for key, model in manifest["pretrained"].items():
            model["sha256"] = weights_hash(packed / "pretrained" / key)
        (packed / "pack.json").write_text(json.dumps(manifest))


def named_on_the_command_line(given: list[str]) -> None:
    """Give commands paths, and other last words, that are none."""
    for command, _, word in (pair.partition("=") for pair in given):
        cli.main([*command.split(), word])


def tuning(given: list[str]) -> None:
    from speechllm.decode.tuning.weights import read_boost, read_tuning

    read_tuning(Path("tuning")), read_boost(Path("tuning"))


def claimed(given: list[str]) -> None:
    from speechllm.decode.config import DecodeConfig
    from speechllm.decode.record import read_records
    from speechllm.decode.results import check_settings

    decode = DecodeConfig().model_dump(mode="json", exclude={"batch_positions"})
    folder = Path("exp/base/decode_b4/x")
    read_records(folder)
    check_settings(folder, {"language_models": {}, "model": "a", "audio": "b", "decode": decode})


def compared(given: list[str]) -> None:
    from speechllm.compare import report

    grid = ["--base", "exp/base", "--config", "grid.yaml", "--targets", "farm", "--tag", "greedy"]
    with mock.patch.object(report, "can_plot", lambda: False):  # a second for each case
        cli.main(["compare", "report", *grid, "--data", "data", "--out", "out/C.md"])


def slurp(given: list[str]) -> None:
    from speechllm.corpora.reading.utterances import write_set
    from speechllm.corpora.slurp import read_split

    write_set(Path("out/x"), read_split(Path("slurp"), "train", with_audio=False))
    read_split(Path("slurp"), "train")


def massive(given: list[str]) -> None:
    from speechllm.corpora.massive import read_text
    from speechllm.corpora.reading.utterances import write_set

    write_set(Path("out/x"), read_text(Path("massive"), "fr-FR", "train"))


def parquet(given: list[str]) -> None:
    from speechllm.corpora.massive import read_split

    read_split([Path("speech")], "fr-FR", "train", Path("out/audio"))


def days(given: list[str]) -> None:
    from speechllm.corpora.primock57 import read_days
    from speechllm.corpora.reading.utterances import write_set

    write_set(Path("out/x"), read_days(Path("days"), [1], with_audio=False))


def barista(given: list[str]) -> None:
    import random

    from speechllm.corpora.barista import read_grammar, read_recordings

    grammar = read_grammar(Path("barista"))
    grammar.sentence(random.Random(0))
    list(grammar.read_corpus(Path("barista/corpus")))
    read_recordings(Path("barista"), "train")


def calls(given: list[str]) -> None:
    from speechllm.corpora.definedai import read_set
    from speechllm.corpora.reading.utterances import write_set

    write_set(Path("out/x"), read_set(Path("calls"), "x", with_audio=False))


def tables(given: list[str]) -> None:
    from speechllm.corpora.librispeech_biasing import read_biasing
    from speechllm.corpora.mts_dialog import read_turns
    from speechllm.corpora.pairs import PairColumns, column_names, read_pairs
    from speechllm.corpora.reading.utterances import write_set
    from speechllm.corpora.slidespeech import read_split

    for path, columns in (
        ("pairs.csv", ("text", "audio", "id")),
        ("pairs.jsonl", ("text", "", "id")),
    ):
        column_names(Path(path))
        read_pairs(Path(path), PairColumns(*columns))
    write_set(Path("out/x"), read_turns(Path("turns.csv"), "mts"))
    read_biasing(Path("rare.tsv"), TEXT)
    read_split(Path("slides.jsonl"), Path("."), with_audio=False)


def transcribed(given: list[str]) -> None:
    from speechllm.transcribe.recordings import find_recordings

    find_recordings(["data/x", "data/x/wav.scp"])
