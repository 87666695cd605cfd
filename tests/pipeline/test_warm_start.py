"""A base whose projector is taught by CTC first, and everything that stands on it."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from speechllm.cli import main
from tests.helpers.tiny import TRAIN, make_spoken_source


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models, two sets with features, and a config with a warm start."""
    work = tmp_path_factory.mktemp("warm")
    make_spoken_source(work)
    config = {
        "model": {
            "encoder": f"{work}/encoder",
            "llm": f"{work}/llm",
            "lora": {"rank": 2},
            "projector": {"downsampling": 3, "hidden": 128, "ctc": {}},
        },
        "trainable": ["projector.*", "llm.*.lora_*"],
        "warm_start": {
            "negatives": 200,
            "train": {**TRAIN, "steps": 90, "lr": 2e-2},
            "monitor": {"every": 30, "decode": True, "signal": "error"},
        },
        "train": TRAIN,
        "monitor": {"every": 2},
    }
    (work / "base.yaml").write_text(yaml.safe_dump(config))
    return work


def train(work: Path, name: str, *changes: str) -> dict:
    main(
        [
            *("base", "--config", f"{work}/base.yaml", "--dump", f"{work}/dump"),
            *("--train", f"{work}/data/train", "--dev", f"{work}/data/dev"),
            *("--exp", f"{work}/exp/{name}", *changes),
        ]
    )
    return json.loads((work / f"exp/{name}/run.json").read_text())


def test_the_projector_learns_to_be_read_before_the_llm_runs(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from speechllm.adapt import engine

    ran = []
    train_phase = engine._train_phase

    def watched(model, phase, *args):
        hook = model.llm.register_forward_pre_hook(lambda *args: ran.append(phase.name))
        report = train_phase(model, phase, *args)
        hook.remove()
        return report

    monkeypatch.setattr(engine, "_train_phase", watched)
    record = train(work, "base")
    assert set(ran) == {""}
    assert [phase["name"] for phase in record["phases"]] == ["warm_start", ""]
    assert record["phases"][0]["seen"].keys() == {"source/audio"}
    lines = (work / "exp/base/warm_start/train.jsonl").read_text().splitlines()
    dev = [json.loads(line)["dev"]["source"] for line in lines if '"dev"' in line]
    assert dev[-1]["loss"] < 0.5 * dev[0]["loss"]  # the dev set is the training set
    assert dev[-1]["wer"] == dev[-1]["error"] < 50 < dev[0]["error"]
    assert dev[-1]["token_accuracy"] > 0.5


def test_speech_is_read_in_letters(work: Path) -> None:
    letters = "model.projector.ctc={units: letters, vectors: expected, compress: true}"
    train(work, "letters", letters, "model.projector.downsampling=1")
    lines = (work / "exp/letters/warm_start/train.jsonl").read_text().splitlines()
    dev = [json.loads(line)["dev"]["source"] for line in lines if '"dev"' in line]
    assert dev[-1]["loss"] < 0.5 * dev[0]["loss"] and dev[-1]["wer"] < 70 < dev[0]["wer"]


def test_speech_is_read_as_tokens_of_an_alphabet(work: Path) -> None:
    few = "abcdefghijklmnopqrst"
    ctc = f"model.projector.ctc={{alphabet: {few}, vectors: expected, compress: true}}"
    train(work, "alphabet", ctc)
    from speechllm.model.bundle import load_bundle

    model = load_bundle(work / "exp/alphabet/model")
    texts = model.tokenizer.batch_decode([[i] for i in model.units.tolist()])
    assert len(texts) > 30 and all(text.strip() and set(text.strip()) <= set(few) for text in texts)
    with pytest.raises(SystemExit):
        train(work, "none", "model.projector.ctc={alphabet: \N{SNOWMAN}}")


def test_an_llm_that_only_its_projector_was_taught_for_answers_briefly_at_first(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from speechllm.adapt import engine

    brief, dev_error = [], engine.DevError

    def watched(*args, is_brief=False):
        brief.append(is_brief)
        return dev_error(*args, is_brief=is_brief)

    monkeypatch.setattr(engine, "DevError", watched)
    train(work, "brief", "monitor.decode=true", "warm_start.train.steps=2")
    assert brief == [False, True]


@pytest.mark.parametrize(
    ("vectors", "units"), [("projected", "tokens"), ("expected", "tokens"), ("expected", "letters")]
)
def test_what_stands_on_a_compressed_base(work: Path, vectors: str, units: str) -> None:
    exp = work / "exp" / f"{vectors}_{units}"
    ctc = f"model.projector.ctc={{vectors: {vectors}, compress: true, units: {units}}}"
    views = "views={audio: 0.5, noisy_text: 0.5}"
    train(work, exp.name, ctc, views, "noise={kind: misspelt, char_rate: 0.2}")
    config = {"method": "mixed_batching", "train": TRAIN, "monitor": {"every": 2}}
    (work / "mixed.yaml").write_text(yaml.safe_dump(config))
    main(
        [
            *("adapt", "--config", f"{work}/mixed.yaml", "--base", str(exp)),
            *("--dump", f"{work}/dump", "--exp", str(exp / "mixed")),
            *("--source", f"{work}/data/train", "--source_dev", f"{work}/data/dev"),
            *("--target", f"{work}/data/train", "--target_dev", f"{work}/data/dev"),
        ]
    )
    (work / "decode.yaml").write_text(yaml.safe_dump({"beam": 2, "word_times": "attention"}))
    main(
        [
            *("decode", "--config", f"{work}/decode.yaml", "--model", str(exp / "mixed")),
            *("--dump", f"{work}/dump", "--data", f"{work}/data/dev"),
        ]
    )
    found = (exp / "mixed/decode_decode/dev/text").read_text().splitlines()
    assert len(found) == 8


def test_the_llm_hears_what_the_warm_start_has_not(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from speechllm.slot import mixing

    pools, pool_of = [], mixing.Mixture._pool

    def watched(self, *args):
        pools.append([utt for utt, _ in pool_of(self, *args)])
        return pool_of(self, *args)

    monkeypatch.setattr(mixing.Mixture, "_pool", watched)
    views = "views={audio: 0.5, noisy_text: 0.5}"
    train(work, "part", views, "warm_start.share=0.75", "warm_start.train.steps=2")
    warm, audio, text = pools
    assert (len(warm), len(audio), len(text)) == (6, 2, 8)
    assert {*warm, *audio} == {*text}


@pytest.mark.parametrize("units", ["units: tokens", "units: pieces, merges: 30"])
def test_the_search_listens_to_ctc(work: Path, units: str) -> None:
    """What it weighs is added up rightly, and does not depend on the batch."""
    ctc = f"model.projector.ctc={{vectors: expected, compress: true, {units}}}"
    joint = {"weight": 20.0, "candidates": 1000}  # this LLM has learnt nothing
    exp = work / "exp" / units.split()[1].strip(",")
    train(work, exp.name, ctc, "trainable=[llm.*lora_*]")
    found = {}
    for name, change in {
        "alone": {"batch_positions": 60},
        "all": {},
        "llm": {"joint_ctc": None},
    }.items():
        config = {"beam": 3, "nbest": 2, "joint_ctc": joint, "guard": None} | change
        (work / f"{name}.yaml").write_text(yaml.safe_dump(config))
        main(
            [
                *("decode", "--config", f"{work}/{name}.yaml", "--model", str(exp)),
                *("--dump", f"{work}/dump", "--data", f"{work}/data/dev"),
            ]
        )
        out = exp / f"decode_{name}/dev"
        found[name] = {
            line["id"]: line["nbest"]
            for line in map(json.loads, (out / "nbest.jsonl").read_text().splitlines())
        }
    assert found["alone"] != found["llm"]
    for utt, nbest in found["all"].items():
        assert [h["text"] for h in found["alone"][utt]] == [h["text"] for h in nbest]
        for hypothesis in nbest:
            parts = hypothesis["scores"]
            assert parts.keys() == {"llm", "ctc"} and parts["ctc"] < 0
            assert parts["llm"] < 0
            rounded = (1 + 1 + 20) * 0.00005  # all three stand there with four decimals
            total = parts["llm"] + 20 * parts["ctc"]
            assert hypothesis["score"] == pytest.approx(total, abs=rounded + 1e-6)
    from jiwer import wer

    said = dict(line.split(" ", 1) for line in (work / "data/dev/text").read_text().splitlines())
    errors = {
        name: wer([said[utt] for utt in said], [nbests[utt][0]["text"] for utt in said])
        for name, nbests in found.items()
    }
    assert errors["all"] < 0.7 * errors["llm"]


def test_dev_sets_are_decoded_with_ctc_where_it_is_asked_for(work: Path) -> None:
    ctc = "model.projector.ctc={vectors: expected, compress: true}"
    first = {}
    for name, weight in {"without": "null", "with": "50.0"}.items():
        monitor = f"monitor={{every: 2, decode: true, joint_ctc: {weight}}}"
        train(work, f"dev_{name}", ctc, "trainable=[llm.*lora_*]", monitor)
        line = (work / f"exp/dev_{name}/train.jsonl").read_text().splitlines()[-1]
        first[name] = json.loads(line)["dev"]["source"]["wer"]
    assert first["with"] < first["without"]


def test_what_does_not_go_together_is_refused(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for change, said in {
        "warm_start=null": "taught by warm_start",
        "model.projector.ctc=null": "give it, e.g. ctc: {}",
        "train=null": "a new projector must learn",
        "warm_start={train: {steps: 1, batch_positions: 9, seed: 7}, share: 0.5}": "the seeds",
        "monitor={joint_ctc: 1.0}": "set decode: true",
        "warm_start.monitor.joint_ctc=1.0": "watched by CTC alone",
    }.items():
        with pytest.raises(SystemExit):
            train(work, "refused", change)
        assert said in capsys.readouterr().err


def test_positions_are_hidden_in_the_warm_start_alone(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from speechllm.model.projector import Projector

    hidden, forward = [], Projector.forward

    def watched(self, frames, lengths, hide=False):
        hidden.append((hide, torch.is_grad_enabled()))
        return forward(self, frames, lengths, hide)

    monkeypatch.setattr(Projector, "forward", watched)
    train(work, "hidden", "warm_start.train.steps=2", "model.projector.position_dropout=0.5")
    learning = [hide for hide, learns in hidden if learns]
    assert learning[:2] == [True, True] and not any(learning[2:])
    assert not any(hide for hide, learns in hidden if not learns)


def test_frames_are_augmented_in_the_warm_start_alone(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from speechllm.model.projector import Projector

    heard, forward = [], Projector.forward

    def watched(self, frames, lengths, hide=False):
        heard.append((hide, torch.is_grad_enabled(), {*lengths.tolist()}))
        return forward(self, frames, lengths, hide)

    monkeypatch.setattr(Projector, "forward", watched)
    augment = "warm_start.augment={stretch: 0.4, noise: 0.1, feature_dropout: 0.1}"
    train(work, "augmented", "warm_start.train.steps=3", augment)
    real = {n for _, learns, lengths in heard if not learns for n in lengths}
    for hide, learns, lengths in heard:
        assert (lengths <= real) == (not (hide and learns))


def adapt(work: Path, exp: Path, name: str, **config: object) -> dict:
    path = work / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"train": TRAIN, "monitor": {"every": 2}, **config}))
    main(
        [
            *("adapt", "--config", str(path), "--base", str(exp)),
            *("--dump", f"{work}/dump", "--exp", str(exp / name)),
            *("--source", f"{work}/data/train", "--source_dev", f"{work}/data/dev"),
            *("--target", f"{work}/data/train", "--target_dev", f"{work}/data/dev"),
        ]
    )
    return json.loads((exp / name / "run.json").read_text())


def test_a_projector_goes_on_learning_from_the_target(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file

    exp = work / "exp/goes_on"
    train(work, "goes_on", "warm_start.train.steps=20")
    first = {"train": {**TRAIN, "steps": 60, "lr": 2e-2}, "source_share": 0.25}
    first["monitor"] = {"every": 30, "decode": True, "watch": "target", "signal": "error"}
    record = adapt(work, exp, "audio", method="audio", warm_start=first)
    assert [phase["name"] for phase in record["phases"]] == ["warm_start", ""]
    seen = record["phases"][0]["seen"]
    assert seen["target/audio"] == pytest.approx(3 * seen["source/audio"], rel=0.2)
    lines = (exp / "audio/warm_start/train.jsonl").read_text().splitlines()
    errors = [json.loads(line)["dev"]["target"]["error"] for line in lines if '"dev"' in line]
    assert errors[-1] < 0.7 * errors[0]
    kept = load_file(exp / "audio/model/trained.safetensors")
    taught = load_file(exp / "audio/warm_start/trained.safetensors")
    name = "projector.layers.0.weight"
    assert torch.equal(kept[name], taught[name])
    assert any("lora" in key for key in kept)

    with pytest.raises(SystemExit):
        adapt(work, exp, "text", method="text_only", warm_start=first)
    assert "this method hears no speech of the target" in capsys.readouterr().err


@pytest.mark.parametrize("compress", [False, True])
def test_target_text_is_heard_as_what_the_projector_might_read(
    work: Path, compress: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """TASU where no encoder has a CTC head: the projector's own posteriors are simulated."""
    name = f"heard_{compress}".lower()
    exp = work / "exp" / name
    vectors = f"model.projector.ctc={{vectors: expected, compress: {str(compress).lower()}}}"
    train(work, name, vectors, "warm_start.train.steps=60")
    record = adapt(work, exp, "posterior", method="posterior", tau=0.5, simulation={"drop": 0.1})
    assert record["seen"]["simulated/pseudo_audio"] > 0
    made = record["made"]["simulated"]
    assert made["codebook_utterances"] == 8 and made["frames_per_symbol"] >= 1
    again = adapt(
        work, exp, "posterior_again", method="posterior", tau=0.5, simulation={"drop": 0.1}
    )
    weights = [exp / f"{n}/model/trained.safetensors" for n in ("posterior", "posterior_again")]
    assert weights[0].read_bytes() == weights[1].read_bytes() and again["made"] == record["made"]
    with pytest.raises(SystemExit):
        adapt(work, exp, "refused", method="posterior", lexicon="words")
    assert "which spells by itself" in capsys.readouterr().err


def test_projected_vectors_say_nothing_of_posteriors(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(work, "projected", "warm_start.train.steps=2")
    with pytest.raises(SystemExit):
        adapt(work, work / "exp/projected", "posterior", method="posterior")
    assert "ctc.vectors: expected" in capsys.readouterr().err
