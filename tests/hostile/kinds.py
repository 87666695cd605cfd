"""Every kind of input, valid: what is damaged of it, and what reads it."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from speechllm import cli
from speechllm.data.kaldi import write_data_dir, write_table

CONF = Path(__file__).parents[2] / "egs/mini/conf"
TEXT = {"a-1": "hello world", "a-2": "two sugar beets", "b-1": "good morning 7 am"}
MEANING = {"scenario": "farm", "action": "greet", "entities": [{"type": "crop", "filler": "beets"}]}
TABLES = ("text", "wav.scp", "segments", "utt2spk", "spk2utt", "utt2dur", "entities", "biasing")
Run = Callable[[list[str]], object]


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        name: of the folder of `make_all` that is copied, and after a dot of what is done with it.
        damage: patterns of the files that are damaged.
        run: what reads them; it is given the overrides.
        may_write: folders.
        keys: of a config; overrides of them are hostile, too.
        command: `run` is a command.
    """

    name: str
    damage: tuple[str, ...]
    run: Run
    may_write: tuple[str, ...] = ("out",)
    keys: tuple[str, ...] = ()
    command: bool = False

    @property
    def folder(self) -> str:
        return self.name.partition(".")[0]


def _command(name: str, damage: str | tuple[str, ...], *words: str, **more: Any) -> Kind:
    damaged = (damage,) if isinstance(damage, str) else damage
    keys = more.get("keys")
    run: Run = lambda given: cli.main([*words, *(given if keys else [])])  # noqa: E731
    return Kind(name, damaged, run, command=True, **more)


def _read(name: str, damage: str | tuple[str, ...], run: Run, **more: Any) -> Kind:
    return Kind(name, (damage,) if isinstance(damage, str) else damage, run, **more)


# ---- the inputs


def make_all(root: Path) -> None:
    """Write a folder for each kind."""
    before = Path.cwd()
    try:
        for name, make in MAKERS.items():
            (root / name).mkdir()
            os.chdir(root / name)
            make()
    finally:
        os.chdir(before)


def _data(folder: str = "data/x", audio: bool = True) -> None:
    path = Path(folder)
    path.mkdir(parents=True)
    wav = path / "audio"
    wav.mkdir()
    rng = np.random.default_rng(0)
    for name in "ab":
        soundfile.write(wav / f"{name}.wav", rng.normal(0, 0.1, 8000), 8000)
    write_data_dir(
        path,
        text=TEXT,
        wav={name: f"{folder}/audio/{name}.wav" for name in "ab"} if audio else None,
        segments={"a-1": ("a", 0.0, 0.5), "a-2": ("a", 0.5, 1.0), "b-1": ("b", 0.0, None)}
        if audio
        else None,
        utt2spk={"a-1": "a", "a-2": "a", "b-1": "b"},
        utt2dur={"a-1": 0.5, "a-2": 0.5, "b-1": 1.0} if audio else None,
        entities={"a-2": [{"type": "crop", "text": "sugar beets"}]},
    )
    write_table(path / "biasing", {"a-1": '["sugar beets", "world"]'})
    (path / "bias_words").write_text("wheat\nsugar beets\n")
    write_table(path / "semantics", dict.fromkeys(TEXT, json.dumps(MEANING)))


def _score() -> None:
    _data()
    Path("hyp").mkdir()
    write_table("hyp/text", {"a-1": "hello word", "a-2": "two sugar beets", "b-1": "good mourning"})
    answers = {"a-1": json.dumps(MEANING), "a-2": "{scenario: 'farm', entities [", "b-1": "no"}
    write_table("hyp/answers", answers)
    Path("rules.yaml").write_text(
        "rules:\n  - like: english\n  - unicode: NFKC\n  - lower: true\n"
        "  - regex: {find: '(a)b+', replace: '\\1'}\n  - words: {colour: color, uh: ''}\n"
        "  - strip: '.,?!'\n"
    )


ROWS = [
    {"id": "u1", "audio": "a.wav", "text": "hello", "speaker": "s", "duration": 1.5},
    {"id": "u2", "audio": "a.wav", "text": "you", "start": 0.5, "end": 1, "recording": "r"},
]


def _lines(path: str, rows: list[Any]) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _imports() -> None:
    _lines("in/jsonl", [{**ROWS[0], "entities": [{"type": "x", "text": "hello"}]}, ROWS[1]])
    Path("in/csv").write_text(
        'id,audio,text,start,end\nu1,a.wav,"a ""b"", c",,\nu2,b.wav,d,1,2.5\n'
    )
    Path("in/tsv").write_text('id\taudio\ttext\nu1\ta.wav\ta "b\nu2\tb.wav\td\n')
    nemo = [{"audio_filepath": "a.wav", "text": "a", "duration": 1.5, "offset": 0.25, "start": 1}]
    _lines("in/nemo", [*nemo, {"audio_filepath": "b.wav", "text": "b", "duration": 2, "id": "b2"}])
    _lines("in/slam", [{"key": k, "source": f"{k}.wav", "target": "a b"} for k in "ab"])
    channels = {"type": "file", "channels": [0], "source": "rec.wav"}
    recording = {"id": "rec", "sources": [channels], "sampling_rate": 8000, "num_samples": 16000}
    recording |= {"duration": 2.0, "channel_ids": [0]}
    said = {"id": "u", "recording_id": "rec", "start": 0.5, "duration": 1.25, "channel": 0}
    said |= {"text": "hello", "speaker": "s", "custom": {"utt2dur": "1.2"}}
    _lines("in/lhotse/recordings.jsonl", [recording])
    _lines("in/lhotse/supervisions.jsonl", [said, {**said, "id": "v", "start": 0}])
    cut = {"id": "c", "type": "MonoCut", "start": 0.5, "duration": 1.0, "channel": 0}
    _lines("in/cuts/cuts.jsonl", [{**cut, "recording": recording, "supervisions": [said]}])


def _dataset() -> None:
    import datasets

    one = {"array": [0.0, 0.5] * 40, "sampling_rate": 8000}
    rows = {"id": ["u1", "u2"], "audio": [one, one], "text": ["we", "you"]}
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(rows).save_to_disk("in")


def _models() -> None:
    from speechllm.data.ark import ArkWriter
    from speechllm.lm.arpa import write_arpa
    from speechllm.lm.kneser_ney import estimate

    write_arpa("x.arpa", estimate([text.split() for text in TEXT.values()], 3))
    with ArkWriter(Path("feats.ark"), Path("feats.scp")) as writer:
        for number, utt in enumerate(TEXT, 2):
            writer.write(utt, np.ones((number, 4), np.float16))
    Path("lexicon").write_text("hello h e l o\nworld w o r l d\n")
    Path("list").write_text("a-1\nb-1 more\n")
    Path("tasks").write_text("true 'a b'\ntrue c\n")


def _bundle() -> None:
    import torch
    from safetensors.torch import save, save_file

    Path("exp/base/model").mkdir(parents=True)
    model = {"encoder": "e", "llm": "l", "projector": {"downsampling": 5}, "prompt": "a <speech>"}
    described = {"format": 1, "model": model, "labels": {"scenario": ["farm"], "type": ["crop"]}}
    Path("exp/base/model/model.json").write_text(json.dumps(described))
    save_file({"projector.x": torch.ones(3)}, "exp/base/model/trained.safetensors")
    config = "config:\n  model: {encoder: e, llm: l}\n  train: {steps: 5}\ninputs:\n  train: [a]\n"
    Path("exp/base/config.yaml").write_text(config)
    run = {"kind": "base", "method": "base", "config": {"train": {"seed": 1}}, "target": None}
    Path("exp/base/run.json").write_text(json.dumps({**run, "phases": [{"name": "", "steps": 3}]}))
    log = [{"step": 1, "dev": {"source": {"loss": 2.0}}, "actions": []}, {"step": 2, "loss": 1.0}]
    _lines("exp/base/train.jsonl", log)
    state = save({"model.x": torch.ones(3)}, metadata={"state": json.dumps({"step": 3})})
    Path("exp/base/checkpoint.safetensors").write_bytes(state)
    Path("x.log.done").write_text(json.dumps({"command": ["true"], "code": 0, "seconds": 1.0}))
    from tests.packed import GOOD

    Path("packed").mkdir()
    Path("packed/pack.json").write_text(json.dumps(GOOD))
    Path("tuning").mkdir()
    tuning = {"set": "x", "weights": {"fusion.weight": 0.1}, "wer": 1.0, "seconds": 2.0}
    Path("tuning/tuning.json").write_text(json.dumps(tuning))


def _decoded() -> None:
    from tests.report.test_results import make_decoding

    _bundle()
    _data()
    folder = Path("exp/base/decode_b4/x")
    make_decoding(folder, 20, 10, 5)
    write_table(folder / "text", {"a-1": "hello word", "a-2": "two", "b-1": "good morning"})
    times = [{"word": "hello", "start": 0.0, "end": 0.1, "confidence": 0.5}]
    records = [{"id": utt, "text": text, "words": times} for utt, text in TEXT.items()]
    records[0] |= {
        "confidence": 0.4,
        "guard": {"flags": ["loop"], "first": "a a", "retried": True},
    }
    _lines(str(folder / "hyp.jsonl"), records)
    settings = {"language_models": {}, "model": "a", "audio": "b", "decode": {"beam": 4}}
    (folder / "settings.json").write_text(json.dumps(settings))
    score = ["score", "--ref", "data/x/text", "--hyp", "exp/base/decode_b4/x/text"]
    cli.main([*score, "--out", "exp/base/decode_b4/x/score", "--n_bootstrap", "5"])


GRAMMAR = """context:
  expressions:
    orderDrink:
      - "[I want, give me] a $size:size [iced, hot] coffee"
  slots:
    size: [small, large]
"""
TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 3
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "Doctor"
        xmin = 0
        xmax = 3
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 1.5
            text = "hello <UNSURE>there</UNSURE>"
        intervals [2]:
            xmin = 1.5
            xmax = 3
            text = ""
"""


def _corpora() -> None:
    slurp = {"slurp_id": 1, "scenario": "farm", "action": "sow", "recordings": [{"file": "a.flac"}]}
    slurp |= {"tokens": [{"surface": "Sow"}, {"surface": "wheat"}]}
    slurp |= {"entities": [{"type": "crop", "span": [1]}]}
    _lines("slurp/dataset/slurp/train.jsonl", [slurp, {**slurp, "slurp_id": 2}])
    Path("slurp/audio/slurp_real").mkdir(parents=True)
    Path("slurp/audio/slurp_real/a.flac").touch()
    massive = {"id": "1", "partition": "train", "annot_utt": "sow [crop : wheat]"}
    massive |= {"scenario": "farm", "intent": "farm_sow", "utt": "sow wheat"}
    _lines("massive/fr-FR.jsonl", [massive, {**massive, "id": "2"}])
    Path("days/transcripts").mkdir(parents=True)
    Path("days/transcripts/day1_consultation01_doctor.TextGrid").write_text(TEXTGRID)
    Path("barista/label").mkdir(parents=True)
    Path("barista/speech/train").mkdir(parents=True)
    Path("barista/speech/train/1.flac").touch()
    Path("barista/coffee_maker.yaml").write_text(GRAMMAR)
    Path("barista/corpus").write_text("i want a small iced coffee\n")
    label = {"1.flac": {"intent": "orderDrink", "slots": {"size": "small"}}}
    Path("barista/label/train.json").write_text(json.dumps(label))
    Path("calls/lists").mkdir(parents=True)
    Path("calls/lists/x.txt").write_text("bank/c1\n")
    Path("calls/bank/transcripts").mkdir(parents=True)
    calls = "channel\tstart\tend\ttext\nagent\t0.0\t1.5\thello\ncaller\t1.0\t2.0\tGood, day\n"
    Path("calls/bank/transcripts/c1.tsv").write_text(calls)
    Path("pairs.csv").write_text('text,audio,id\n"a, b",pairs.csv,u1\nc,pairs.csv,u2\n')
    _lines("pairs.jsonl", [{"text": "a", "id": "u1", "n": 1}, {"text": "b", "id": "u2", "n": 2}])
    Path("turns.csv").write_text(
        'ID,section_header,section_text,dialogue\n0,GEN,x,"Doctor: hi\nPatient: oh"\n'
    )
    Path("rare.tsv").write_text('a-1\thello world\t["world"]\t["world", "beet"]\n')
    _lines(
        "slides.jsonl",
        [{"key": "life_1-1", "source": "<SLIDESPEECH_ROOT>/life_1-1.wav", "target": "A B"}],
    )
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return
    row = {"id": "1", "annot_utt": "sow [crop : wheat]", "scenario_str": "farm"}
    row |= {"intent_str": "farm_sow", "audio": {"bytes": b"RIFF", "path": "x.wav"}}
    Path("speech/fr-FR").mkdir(parents=True)
    table = pyarrow.Table.from_pylist([row, {**row, "id": "2"}])
    parquet.write_table(table, "speech/fr-FR/train-00000-of-00001.parquet")


def _configs() -> None:
    for path in CONF.rglob("*.yaml"):
        target = Path("conf") / path.relative_to(CONF)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())


MAKERS = {
    "data": _data,
    "score": _score,
    "imports": _imports,
    "dataset": _dataset,
    "models": _models,
    "bundle": _bundle,
    "decoded": _decoded,
    "corpora": _corpora,
    "configs": _configs,
}


# ---- what reads them


def _base(given: list[str]) -> None:
    from speechllm.config import BaseConfig, load

    load(BaseConfig, Path("conf/base.yaml"), given)


def _decode_config(given: list[str]) -> None:
    from speechllm.config import load
    from speechllm.decode.config import DecodeConfig

    for path in sorted(Path("conf/decode").glob("*.yaml")):
        load(DecodeConfig, path, given)


def _method(given: list[str]) -> None:
    from speechllm.adapt.method import load_method

    for path in sorted(Path("conf/methods").glob("*.yaml")):
        load_method(path, given)


def _lm_config(given: list[str]) -> None:
    from speechllm.lm.config import load_lm_config

    for path in sorted(Path("conf/lm").glob("*.yaml")):
        load_lm_config(path, given)


def _grid(given: list[str]) -> None:
    from speechllm.compare.plan import load_grid, plan

    grid = load_grid(Path("conf/compare.yaml"), given)
    plan(grid, Path("exp/base/x"), ["agriculture", "music"])


def _arpa(given: list[str]) -> None:
    from speechllm.lm.arpa import read_arpa

    read_arpa("x.arpa").score(["hello", "world"])


def _ark(given: list[str]) -> None:
    from speechllm.data.ark import ArkReader

    reader = ArkReader(Path("feats.scp"))
    for utt in reader:
        reader[utt]


def _lexicon(given: list[str]) -> None:
    from speechllm.data.spelling import read_lexicon

    read_lexicon("lexicon")


def _phrases(given: list[str]) -> None:
    from speechllm.adapt.selection import read_phrases

    read_phrases("list")


def _tasks(given: list[str]) -> None:
    from speechllm.jobs.run import read_tasks

    read_tasks(Path("tasks"), Path("out/x.JOB.log"))


def _bundles(given: list[str]) -> None:
    from speechllm.model.bundle import read_bundle
    from speechllm.tasks.of_model import labels_of, task_of

    task_of(Path("exp/base")), labels_of(Path("exp/base"))
    read_bundle(Path("exp/base/model"))


def _run_folder(given: list[str]) -> None:
    from speechllm.adapt.folder import Inputs, is_finished
    from speechllm.config import BaseConfig

    train = {"steps": 5}
    config = BaseConfig.model_validate({"model": {"encoder": "e", "llm": "l"}, "train": train})
    is_finished(Path("exp/base"), config, Inputs({"train": ["a"]}))


def _checkpoint(given: list[str]) -> None:
    import torch

    from speechllm.train.checkpoint import load_checkpoint

    module = torch.nn.Module()
    module.x = torch.nn.Parameter(torch.zeros(3))
    load_checkpoint(Path("exp/base/checkpoint.safetensors"), module, [])


def _log(given: list[str]) -> None:
    from speechllm.train.metrics import MetricLog

    MetricLog(Path("exp/base"), 2).close()


def _done(given: list[str]) -> None:
    from speechllm.jobs.run import Job

    Job(1, ["true"], Path("x.log")).code()


def _pack(given: list[str]) -> None:
    from speechllm.pack.manifest import read_manifest

    read_manifest(Path("packed"))


def _tuning(given: list[str]) -> None:
    from speechllm.decode.tuning import read_boost, read_tuning

    read_tuning(Path("tuning")), read_boost(Path("tuning"))


def _claimed(given: list[str]) -> None:
    from speechllm.decode.config import DecodeConfig
    from speechllm.decode.results import check_settings, read_lines

    decode = DecodeConfig().model_dump(mode="json", exclude={"batch_positions"})
    folder = Path("exp/base/decode_b4/x")
    read_lines(folder / "hyp.jsonl")
    check_settings(folder, {"language_models": {}, "model": "a", "audio": "b", "decode": decode})


def _slurp(given: list[str]) -> None:
    from speechllm.data.corpora.slurp import read_split
    from speechllm.data.corpora.utterances import write_set

    write_set(Path("out/x"), read_split(Path("slurp"), "train", with_audio=False))
    read_split(Path("slurp"), "train")


def _massive(given: list[str]) -> None:
    from speechllm.data.corpora.massive import read_text
    from speechllm.data.corpora.utterances import write_set

    write_set(Path("out/x"), read_text(Path("massive"), "fr-FR", "train"))


def _parquet(given: list[str]) -> None:
    from speechllm.data.corpora.massive import read_split

    read_split([Path("speech")], "fr-FR", "train", Path("out/audio"))


def _days(given: list[str]) -> None:
    from speechllm.data.corpora.primock57 import read_days
    from speechllm.data.corpora.utterances import write_set

    write_set(Path("out/x"), read_days(Path("days"), [1], with_audio=False))


def _barista(given: list[str]) -> None:
    import random

    from speechllm.data.corpora.barista import read_grammar, read_recordings

    grammar = read_grammar(Path("barista"))
    grammar.sentence(random.Random(0))
    list(grammar.read_corpus(Path("barista/corpus")))
    read_recordings(Path("barista"), "train")


def _calls(given: list[str]) -> None:
    from speechllm.data.corpora.definedai import read_set
    from speechllm.data.corpora.utterances import write_set

    write_set(Path("out/x"), read_set(Path("calls"), "x", with_audio=False))


def _tables(given: list[str]) -> None:
    from speechllm.data.corpora.librispeech_biasing import read_biasing
    from speechllm.data.corpora.mts_dialog import read_turns
    from speechllm.data.corpora.pairs import Columns, column_names, read_pairs
    from speechllm.data.corpora.slidespeech import read_split
    from speechllm.data.corpora.utterances import write_set

    for path, columns in (
        ("pairs.csv", ("text", "audio", "id")),
        ("pairs.jsonl", ("text", "", "id")),
    ):
        column_names(Path(path))
        read_pairs(Path(path), Columns(*columns))
    write_set(Path("out/x"), read_turns(Path("turns.csv"), "mts"))
    read_biasing(Path("rare.tsv"), TEXT)
    read_split(Path("slides.jsonl"), Path("."), with_audio=False)


def _transcribed(given: list[str]) -> None:
    from speechllm.transcribe.recordings import find_recordings

    find_recordings(["data/x", "data/x/wav.scp"])


DATA = tuple(f"data/x/{name}" for name in (*TABLES, "bias_words", "semantics"))
SETS = ("out", "data/x", "data/.x", "data/.backup")
SCORE = (
    "score",
    "--ref",
    "data/x/text",
    "--hyp",
    "hyp/text",
    "--out",
    "out/s",
    "--n_bootstrap",
    "5",
)
RUN_FILES = tuple(f"exp/base/{n}" for n in ("run.json", "train.jsonl", "config.yaml"))
RESULT_FILES = tuple(
    f"exp/base/decode_b4/x/{n}"
    for n in ("text", "decode.json", "hyp.jsonl", "score/wer.json", "score/utterances.plain.tsv")
)
REPORT = ("report", "--exp", "exp", "--out", "out/R.md")

KINDS = [
    _command("data.check", DATA, "check", "data/x", may_write=SETS),
    _command(
        "data.check_full", (*DATA, "data/x/audio/*"), "check", "--full", "data/x", may_write=SETS
    ),
    _command("data.fix", DATA, "fix", "data/x", may_write=SETS),
    _command("data.subset", DATA, "subset", "1", "data/x", "out/s"),
    _command("data.subset_hours", DATA, "subset", "--hours", "0.0002", "data/x", "out/s"),
    _command("data.split", DATA, "split", "data/x", "2", may_write=SETS),
    _command("data.combine", DATA, "combine", "out/c", "data/x"),
    _command("data.export_nemo", (*DATA, "data/x/audio/*"), "export", "nemo", "data/x", "out/f"),
    _command("data.export_csv", DATA, "export", "csv", "data/x", "out/f"),
    _command("data.export_lhotse", DATA, "export", "lhotse", "data/x", "out/f"),
    _command(
        "data.export_audio",
        (*DATA, "data/x/audio/*"),
        "export",
        "slam",
        "data/x",
        "out/f",
        "--audio_dir",
        "out/a",
    ),
    _command(
        "data.lm",
        "data/x/text",
        "lm",
        "--config",
        str(CONF / "lm/ngram.yaml"),
        "--text",
        "data/x/text",
        "--dev",
        "data/x/text",
        "--exp",
        "out/lm",
        keys=("order", "kind"),
    ),
    _read("data.transcribe", DATA, _transcribed),
    *(
        _command(f"imports.{name}", f"in/{name}*", "import", name, f"in/{name}", "out/d")
        for name in ("jsonl", "csv", "tsv", "nemo", "slam")
    ),
    _command("imports.lhotse", "in/lhotse/*", "import", "lhotse", "in/lhotse", "out/d"),
    _command("imports.cuts", "in/cuts/*", "import", "lhotse", "in/cuts", "out/d"),
    _command("dataset.import", "in/*", "import", "hf", "in", "out/d"),
    _command("score.asr", (*DATA, "hyp/text"), *SCORE),
    _command(
        "score.speakers",
        (*DATA, "hyp/text"),
        *SCORE,
        "--by_speaker",
        "--trn",
        "--train_text",
        "data/x/text",
    ),
    _command("score.rules", ("rules.yaml", "hyp/text"), *SCORE, "--normalizer", "rules.yaml"),
    _command(
        "score.slu",
        ("data/x/semantics", "data/x/text", "hyp/answers"),
        "score",
        "--ref",
        "data/x/semantics",
        "--hyp",
        "hyp/answers",
        "--out",
        "out/s",
        "--task",
        "slu",
        "--n_bootstrap",
        "5",
    ),
    _command(
        "score.beside",
        (*DATA, "hyp/text"),
        "compare-hyps",
        "hyp/text",
        "data/x/text",
        "--ref",
        "data/x/text",
        "--n_bootstrap",
        "20",
    ),
    _read(
        "configs.base",
        "conf/base.yaml",
        _base,
        keys=(
            "model.projector.downsampling",
            "train.lr",
            "train.steps",
            "train",
            "model",
            "monitor.every",
            "views.audio",
            "model.lora",
            "trainable",
        ),
    ),
    _read(
        "configs.decode",
        "conf/decode/*",
        _decode_config,
        keys=(
            "beam",
            "length_penalty",
            "guard",
            "guard.retry",
            "fusion",
            "fusion.grid",
            "biasing",
            "ctc.lexicon",
            "tune.beam",
            "rescore.weight",
        ),
    ),
    _read(
        "configs.method",
        "conf/methods/*",
        _method,
        keys=(
            "method",
            "train.lr",
            "train.epochs",
            "noise",
            "noise.word_rate",
            "p",
            "tau",
            "lora",
            "decode.beam",
            "monitor.stop.patience",
        ),
    ),
    _read("configs.lm", "conf/lm/*", _lm_config, keys=("kind", "order", "train.steps", "width")),
    _read(
        "configs.grid",
        ("conf/compare.yaml", "conf/methods/*", "conf/adapt/*"),
        _grid,
        keys=("seeds", "budget", "match", "methods", "pairs", "targets", "baseline"),
    ),
    _read("models.arpa", "x.arpa", _arpa),
    _read("models.ark", "feats.*", _ark),
    _read("models.lexicon", "lexicon", _lexicon),
    _read("models.phrases", "list", _phrases),
    _read("models.tasks", "tasks", _tasks),
    _read("bundle.model", "exp/base/model/*", _bundles),
    _read("bundle.run", (*RUN_FILES, "exp/base/model/*"), _run_folder, may_write=("out", "exp")),
    _read("bundle.checkpoint", "exp/base/checkpoint.safetensors", _checkpoint),
    _read("bundle.log", "exp/base/train.jsonl", _log, may_write=("out", "exp/base")),
    _read("bundle.done", "x.log.done", _done),
    _read("bundle.pack", "packed/pack.json", _pack),
    _command("bundle.transcribe", "packed/pack.json", "transcribe", "--model", "packed", "x.wav"),
    _read("bundle.tuning", "tuning/tuning.json", _tuning),
    _read(
        "decoded.claim",
        tuple(f"exp/base/decode_b4/x/{n}" for n in ("settings.json", "hyp.jsonl")),
        _claimed,
        may_write=("out", "exp/base/decode_b4/x"),
    ),
    _command("decoded.report", (*RUN_FILES, "exp/base/model/model.json", *RESULT_FILES), *REPORT),
    _command(
        "decoded.html",
        (*RUN_FILES, *RESULT_FILES, *DATA),
        *REPORT,
        "--html",
        "out/html",
        "--data",
        "data",
    ),
    _command(
        "decoded.ctm",
        ("exp/base/decode_b4/x/hyp.jsonl", *DATA),
        "ctm",
        "--decode",
        "exp/base/decode_b4/x",
        "--out",
        "out/x.ctm",
        "--data",
        "data/x",
    ),
    _command(
        "decoded.beside",
        RESULT_FILES,
        "compare-hyps",
        "exp/base/decode_b4/x",
        "data/x/text",
        "--n_bootstrap",
        "5",
    ),
    _command(
        "decoded.score",
        (*RESULT_FILES, "exp/base/model/model.json", *DATA),
        "score",
        "--exp",
        "exp",
        "--data_root",
        "data",
        "--n_bootstrap",
        "5",
        may_write=("out", "exp"),
    ),
    _command(
        "decoded.compare",
        (*RUN_FILES, *RESULT_FILES),
        "compare",
        "report",
        "--base",
        "exp/base",
        "--config",
        str(CONF / "compare.yaml"),
        "--targets",
        "agriculture",
        "--data",
        "data",
        "--out",
        "out/C.md",
        "--tag",
        "b4",
    ),
    _read("corpora.slurp", "slurp/dataset/slurp/*", _slurp),
    _read("corpora.massive", "massive/*", _massive),
    _read("corpora.parquet", "speech/fr-FR/*", _parquet),
    _read("corpora.textgrid", "days/transcripts/*", _days),
    _read(
        "corpora.grammar",
        ("barista/coffee_maker.yaml", "barista/corpus", "barista/label/*"),
        _barista,
    ),
    _read("corpora.calls", ("calls/lists/*", "calls/bank/transcripts/*"), _calls),
    _read("corpora.tables", ("pairs.*", "turns.csv", "rare.tsv", "slides.jsonl"), _tables),
]
