"""Every way of adapting, for a task whose answer is not the transcript, on tiny random models."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from transformers import AutoTokenizer

from speechllm.cli import main
from speechllm.data.dirs.kaldi import read_table, write_table
from speechllm.files.whole import write_json
from speechllm.slot.collate import Example
from speechllm.tasks.semantics import parse_semantics, write_answer
from tests.helpers.tiny import make_ctc_encoder, make_llm, make_set

TRAIN = {"steps": 2, "batch_positions": 1500, "lr": 1e-3, "warmup_steps": 1, "precision": "fp32"}
MONITOR = {"every": 2, "utterances": 3}
WHOLE = {"lora": None, "trainable": ["llm.*"]}
METHODS = {
    "audio": {"method": "audio", "fraction": 0.5},
    "text_only": {"method": "text_only", "slot": "clean_text"},
    "text_only_whole": {"method": "text_only", "slot": "clean_text", **WHOLE},
    "text_only_empty": {"method": "text_only"},
    "text_only_switches": {
        "method": "text_only",
        "contrastive": {},
        "alignment": {},
        "curriculum": {"signal": "error"},
        "monitor": {**MONITOR, "decode": True},
    },
    "denoise": {"method": "denoise", "tau": 0.5},
    "mixed_batching": {"method": "mixed_batching", "p": 0.5},
    "adaptive": {"method": "adaptive"},
    "soft_prompt": {"method": "soft_prompt", "length": 5},
    "pre_finetune": {"method": "pre_finetune"},
    "curriculum_p25": {"method": "curriculum", "p": 0.25},
    "curriculum_whole": {"method": "curriculum", "p": 0.25, **WHOLE},
    "direct_mixing_p25": {"method": "direct_mixing", "p": 0.25},
    "direct_mixing_whole": {"method": "direct_mixing", "p": 0.25, **WHOLE},
    "direct_mixing_p100": {"method": "direct_mixing", "p": 1.0},
    "posterior": {"method": "posterior", "lexicon": "letters"},
}


def meaning(transcript: str) -> str:
    """A meaning that holds words of the transcript, and more than them."""
    words = transcript.split()
    entities = [{"type": "thing", "filler": words[1]}, {"type": "end", "filler": words[-1]}]
    return write_answer({"scenario": "farm", "action": f"do_{len(words)}", "entities": entities})


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("slu")
    make_ctc_encoder(work / "encoder")
    make_llm(work / "llm")
    sets = ["source_train", "source_dev", "target_train", "target_dev"]
    for i, name in enumerate(sets):
        folder = make_set(work / "data" / name, name[:2] + name[-2:], seed=i)
        said = read_table(folder / "text")
        write_table(folder / "semantics", {utt: meaning(text) for utt, text in said.items()})
    words = {
        w for text in read_table(work / "data/source_train/text").values() for w in text.split()
    }
    (work / "letters").write_text("".join(f"{w} {' '.join(w)}\n" for w in sorted(words)))
    dirs = [f"{work}/data/{name}" for name in sets]
    features = ["features", "--encoder", f"{work}/encoder", "--dump", f"{work}/dump"]
    main([*features, *dirs])
    main([*features, "--merge", *dirs])
    model = {
        "task": "slu",
        "encoder": f"{work}/encoder",
        "llm": f"{work}/llm",
        "projector": {"downsampling": 2, "hidden": 16},
    }
    base = {"model": model, "train": TRAIN, "monitor": MONITOR}
    (work / "base.yaml").write_text(yaml.safe_dump(base))
    main(
        [
            *("base", "--config", f"{work}/base.yaml", "--dump", f"{work}/dump"),
            *("--train", f"{work}/data/source_train", "--dev", f"{work}/data/source_dev"),
            *("--exp", f"{work}/exp/base"),
        ]
    )
    return work


def adapt(work: Path, name: str, **values: object) -> Path:
    if "lexicon" in values:
        values["lexicon"] = f"{work}/letters"
    (work / f"{name}.yaml").write_text(
        yaml.safe_dump({"train": TRAIN, "monitor": MONITOR, **values})
    )
    folder = work / "exp/base" / f"{name}_target"
    data = f"{work}/data"
    main(
        [
            *("adapt", "--config", f"{work}/{name}.yaml", "--base", f"{work}/exp/base"),
            *("--dump", f"{work}/dump", "--exp", f"{folder}"),
            *("--source", f"{data}/source_train", "--source_dev", f"{data}/source_dev"),
            *("--target", f"{data}/target_train", "--target_dev", f"{data}/target_dev"),
        ]
    )
    return folder


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Example]]:
    """All examples that are trained on."""
    import speechllm.slot.mixing as mixing

    examples: list[Example] = []
    collate = mixing.collate

    def noted(batch: list[Example], *more: object) -> object:
        examples.extend(batch)
        return collate(batch, *more)

    monkeypatch.setattr(mixing, "collate", noted)
    yield examples


@pytest.mark.parametrize("name", METHODS)
def test_answers_are_learnt_and_never_shown(work: Path, name: str, seen: list[Example]) -> None:
    folder = adapt(work, name, **METHODS[name])
    assert json.loads((folder / "run.json").read_text())["steps"] >= 2
    tokenizer = AutoTokenizer.from_pretrained(work / "llm")
    answers = {
        utt: answer
        for name in ("source_train", "target_train")
        for utt, answer in read_table(work / f"data/{name}/semantics").items()
    }
    assert seen
    for example in seen:
        assert tokenizer.decode(example.target) == answers[example.utt_id]
        if isinstance(example.slot, list):
            assert "scenario" not in tokenizer.decode(example.slot)
    labels = json.loads((folder / "model/model.json").read_text())["labels"]
    assert labels["scenario"] == ["farm"] and labels["type"] == ["end", "thing"]


def test_pseudo_labels_are_answers_of_the_base(work: Path, seen: list[Example]) -> None:
    pytest.importorskip("outlines_core")
    decode = {"beam": 1, "constrained": True, "min_tokens": 120}
    keep = {"truncated": True}
    folder = adapt(work, "pseudo", method="pseudo_label", p=0.5, decode=decode, keep=keep)
    report = json.loads((folder / "pseudo_label/report.json").read_text())
    assert report["kept"] == report["heard"] == 4
    assert len({e.utt_id for e in seen}) == 4
    heard = (folder / "pseudo_label").glob("heard.*.jsonl")
    for line in next(heard).read_text().splitlines():
        parse_semantics(json.loads(line)["text"])


def test_hypotheses_without_form_are_no_pseudo_labels(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        adapt(work, "loose", method="pseudo_label", keep={"truncated": True}, decode={"beam": 1})
    assert "'answers': 0" in capsys.readouterr().err


def test_synthetic_speech_of_the_transcript_teaches_the_answer(
    work: Path, seen: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = []

    def say(text: str) -> tuple[np.ndarray, int]:
        spoken.append(text)
        return np.random.default_rng(0).normal(0, 0.1, 8000), 16000

    module = type(sys)("tts_of_this_test")
    module.say = say
    monkeypatch.setitem(sys.modules, module.__name__, module)
    tts = {"python": f"{module.__name__}:say", "allow_commands": True}
    adapt(work, "spoken", method="synthetic_audio", tts=tts)
    assert spoken == list(read_table(work / "data/target_train/text").values())
    answers = read_table(work / "data/target_train/semantics")
    tokenizer = AutoTokenizer.from_pretrained(work / "llm")
    assert {e.view for e in seen} == {"audio"}
    assert all(tokenizer.decode(e.target) == answers[e.utt_id] for e in seen)


def test_constrained_decoding_always_gives_semantics(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("outlines_core")
    model = work / "exp/base"
    for beam in (1, 3):
        (work / f"beam{beam}.yaml").write_text(yaml.safe_dump({"beam": beam, "constrained": True}))
        main(
            [
                *("decode", "--config", f"{work}/beam{beam}.yaml", "--model", f"{model}"),
                *("--dump", f"{work}/dump", "--data", f"{work}/data/target_dev"),
            ]
        )
        answers = read_table(model / f"decode_beam{beam}/target_dev/text")
        assert len(answers) == 8
        for answer in answers.values():
            assert parse_semantics(answer)["scenario"] == "farm"
    capsys.readouterr()
    main(["score", "--exp", f"{work}/exp", "--data_root", f"{work}/data"])
    assert capsys.readouterr().out.count("%intent error") == 4  # beams x normalisers


def test_the_report_speaks_of_the_task(work: Path, tmp_path: Path) -> None:
    from speechllm.report.results import make_results

    exp, data = tmp_path / "exp", tmp_path / "data"
    base, audio = exp / "base", exp / "base/audio_farm"
    bundle = {"format": 1, "model": {"task": "slu"}, "labels": {"scenario": ["farm"]}}
    labels = {**bundle["labels"], "action": ["do_5"], "type": ["end", "thing"]}
    for folder, run in ((base, {"kind": "base"}), (audio, {"kind": "adapted", "method": "audio"})):
        write_json(folder / "run.json", {"target": "farm", "audio_hours_target": 1.0, **run})
        write_json(folder / "model/model.json", {**bundle, "labels": labels})
    shutil.copytree(work / "data/target_dev", data / "farm_test")
    answers = read_table(data / "farm_test/semantics")
    wrong = {u: a.replace('"do_', '"undo_') for u, a in answers.items()}
    write_table(base / "decode_decode/farm_test/text", {**wrong, "taev-1": "nothing"})
    write_table(audio / "decode_decode/farm_test/text", answers)
    main(["score", "--exp", f"{exp}", "--data_root", f"{data}"])
    results = make_results(exp)
    (comparison,) = results.comparisons
    rows = {
        row[1]: dict(zip(comparison.table.header, row, strict=True))
        for row in (comparison.table.rows)
    }
    assert rows["base"]["intent error [95 %]"] == "100.00 [100.00, 100.00]"
    assert rows["audio"]["SLU-F1 error [95 %]"] == "0.00 [0.00, 0.00]"
    assert rows["audio"]["gain %"] == "100.00" and "S / D / I" not in comparison.table.header
    assert "`audio` 0.00 [0.00, 0.00] is best" in comparison.verdicts[0]
    assert "WER" not in results.markdown.replace("FEWER", "")
    assert "### slu: SLU-F1 error by type" in results.markdown
    assert any("without any JSON, scored as empty ones: 1 (taev-1)" in n for n in results.notes)
    assert any(
        "training did not have: 2 (action undo_5 2x, action undo_6 5x)" in n for n in results.notes
    )
    assert any("references that training did not have: 1 (action do_6" in n for n in results.notes)


def test_a_packed_model_answers_with_meanings(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("outlines_core")
    adapt(work, "heard", method="audio")
    packed = tmp_path / "packed"
    (work / "packed.yaml").write_text(yaml.safe_dump({"beam": 1, "constrained": True}))
    command = ["pack", "--base", f"{work}/exp/base", "--decode", f"{work}/packed.yaml"]
    main([*command, "--models", "heard_*", "--out", f"{packed}"])
    assert json.loads((packed / "pack.json").read_text())["decode"]["min_tokens"] == 200
    assert "pipeline_tag: audio-text-to-text" in (packed / "README.md").read_text()
    wav = next((work / "data/target_dev/wav").glob("*.wav"))
    capsys.readouterr()
    for domain in ("base", "target"):
        main(
            [
                "transcribe",
                "--model",
                f"{packed}",
                f"{wav}",
                "--domain",
                domain,
                "--format",
                "jsonl",
            ]
        )
        line = json.loads(capsys.readouterr().out)
        assert line["semantics"] == parse_semantics(line["text"])
    with pytest.raises(SystemExit):
        main(["transcribe", "--model", f"{packed}", f"{wav}", "--format", "srt"])
    assert "the model's task slu answers with something else" in capsys.readouterr().err
