"""Every kind of input, valid, in a folder of its own: what is damaged."""

import gzip
import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from speechllm import cli
from speechllm.data.dirs.kaldi import write_data_dir, write_table
from tests.helpers.paths import ROOT

CONF = ROOT / "egs/mini/conf/standins"
TEXT = {"a-1": "hello world", "a-2": "two sugar beets", "b-1": "good morning 7 am"}
MEANING = {"scenario": "farm", "action": "greet", "entities": [{"type": "crop", "filler": "beets"}]}
TABLES = ("text", "wav.scp", "segments", "utt2spk", "spk2utt", "utt2dur", "entities", "biasing")


def make_all(root: Path, names: Collection[str] | None = None) -> None:
    """Write a folder for each kind, or for those of these names."""
    before = Path.cwd()
    try:
        for name in MAKERS if names is None else sorted(names):
            (root / name).mkdir()
            os.chdir(root / name)
            MAKERS[name]()
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
    from speechllm.data.speech.ark import ArkWriter
    from speechllm.lm.arpa import write_arpa
    from speechllm.lm.kneser_ney import estimate

    write_arpa("x.arpa", estimate([text.split() for text in TEXT.values()], 3))
    with ArkWriter(Path("feats.ark"), Path("feats.scp")) as writer:
        for number, utt in enumerate(TEXT, 2):
            writer.write(utt, np.ones((number, 4), np.float16))
    Path("lexicon").write_text("hello h e l o\nworld w o r l d\n")
    Path("list").write_text("a-1\nb-1 more\n")
    Path("tasks").write_text("true 'a b'\ntrue c\n")
    Path("x.arpa.gz").write_bytes(gzip.compress(Path("x.arpa").read_bytes(), mtime=0))
    Path("older").mkdir()  # without checksums, so that damage is not seen by them alone
    for name in ("feats.ark", "feats.scp"):
        shutil.copy(name, f"older/{name}")


def _bundle() -> None:
    import torch
    from safetensors.torch import save, save_file

    Path("exp/base/model").mkdir(parents=True)
    projector = {"downsampling": 2, "hidden": 3}
    model = {"encoder": "e", "llm": "l", "projector": projector, "prompt": "a <speech>"}
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
    from tests.helpers.packed import GOOD

    Path("packed").mkdir()
    Path("packed/pack.json").write_text(json.dumps(GOOD))
    Path("tuning").mkdir()
    tuning = {"set": "x", "weights": {"fusion.weight": 0.1}, "wer": 1.0, "seconds": 2.0}
    Path("tuning/tuning.json").write_text(json.dumps(tuning))


def _packs() -> None:
    from speechllm.decode.config import DecodeConfig
    from speechllm.pack.write import pack
    from tests.helpers.packed import make_exp

    pack(make_exp(Path.cwd() / "work"), Path("packed"), decode=DecodeConfig(beam=2))
    shutil.rmtree("work")
    _data()


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


def _compared() -> None:
    """An exp folder in which all cells of a grid are finished."""
    from speechllm.adapt.method import load_method
    from speechllm.compare.plan import load_grid, plan
    from speechllm.files.whole import sha256_of
    from tests.helpers.fake_grid import FakeComparison, learning

    fake = FakeComparison(Path())
    fake.add("base", 0.5, seed=1)
    trained = Path("exp/base/model/trained.safetensors")
    trained.parent.mkdir()
    trained.touch()
    for name in ("denoise.yaml", "audio.yaml"):
        shutil.copy(CONF / "adapt" / name, name)
    Path("grid.yaml").write_text(
        "methods:\n  denoise: {config: denoise.yaml}\n  audio: {config: audio.yaml}\n"
        "pairs:\n  - [audio, denoise]\n"
        "seeds: [1]\nmatch: steps\nbudget: 20\nbaseline: base\n"
    )
    for cell in plan(load_grid(Path("grid.yaml")), Path("exp/base/grid"), ["farm"]):
        fake.add(cell.label, 0.3, hours=1.0, log=learning())
        config = load_method(cell.config, cell.overrides).model_dump(mode="json")
        inputs = {"base": "exp/base", "base_sha256": sha256_of([trained]), "target_dev": ["x"]}
        made = yaml.safe_dump({"config": config, "inputs": inputs})
        (cell.folder / "config.yaml").write_text(made)
    cli.main(["score", "--exp", "exp", "--data_root", "data", "--n_bootstrap", "5"])


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
        target = Path("conf/standins") / path.relative_to(CONF)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())


MAKERS = {
    "data": _data,
    "score": _score,
    "imports": _imports,
    "dataset": _dataset,
    "models": _models,
    "bundle": _bundle,
    "packs": _packs,
    "decoded": _decoded,
    "compared": _compared,
    "corpora": _corpora,
    "configs": _configs,
}
