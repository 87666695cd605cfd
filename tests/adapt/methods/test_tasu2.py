"""Target text through posteriors of a taught simulator, end to end on tiny models."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.torch import load_file

from speechllm.adapt.made.ctc_teacher import given, pairs_of, word_errors
from speechllm.adapt.made.harder_bins import HarderBins
from speechllm.adapt.made.heard import hear
from speechllm.adapt.made.simulated_text import _table, bin_of
from speechllm.adapt.method import load_method
from speechllm.adapt.run import adapt
from speechllm.cli import main
from speechllm.data.dirs.kaldi import read_table
from speechllm.errors import ConfigError
from speechllm.files.own import read_json
from speechllm.model.bundle import load_bundle
from speechllm.slot.corpus import Corpus
from speechllm.slot.pseudo_audio.sparse_posteriors import Posteriors, SimulatedText
from tests.helpers.tiny import TRAIN, make_set, make_spoken_source

CTC = {"vectors": "expected", "compress": True}
KNOBS = {
    "bins": [0, 30, 100],
    "wer": [0, 30, 100],
    "variants": 2,
    "simulator": {"width": 16, "layers": 1, "heads": 2, "epochs": 3, "batch": 4},
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models, features, and bases by what their LLM is given."""
    work = tmp_path_factory.mktemp("tasu2")
    sets = make_spoken_source(work)
    make_set(work / "data/text_train", "te", audio=False)
    model = {"encoder": f"{work}/encoder", "llm": f"{work}/llm", "lora": {"rank": 2}}
    for name, ctc, steps in (
        ("compressed", CTC, 60),
        ("all", {**CTC, "compress": False}, 60),
        ("projected", {**CTC, "vectors": "projected"}, 1),  # which is refused, as is a plain one
        ("plain", None, 0),
    ):
        warm = {"train": {**TRAIN, "steps": steps, "lr": 2e-2}, "monitor": {"every": max(1, steps)}}
        projector = {"downsampling": 3, "hidden": 128, "ctc": ctc}
        config: dict[str, Any] = {"model": {**model, "projector": projector}, "train": TRAIN}
        config |= {"warm_start": warm if ctc else None, "trainable": ["llm.*.lora_*"]}
        if not ctc:
            config["trainable"] = ["projector.*"]
        (work / "base.yaml").write_text(yaml.safe_dump(config))
        main(
            [
                *("base", "--config", f"{work}/base.yaml", "--dump", f"{work}/dump"),
                *("--train", str(sets[0]), "--dev", str(sets[1]), "--exp", f"{work}/exp/{name}"),
            ]
        )
    return work


def train(work: Path, base: str, folder: Path, **knobs: Any) -> dict:
    """Adapt; what run.json says."""
    folder.mkdir(parents=True, exist_ok=True)
    monitor = {"every": 2, "utterances": 4, "keep_best": False}
    config = {"method": "tasu2", "train": TRAIN, "monitor": monitor, **KNOBS, **knobs}
    (folder / "tasu2.yaml").write_text(yaml.safe_dump(config))
    adapt(
        load_method(folder / "tasu2.yaml"),
        base=work / "exp" / base,
        source=[work / "data/train"],
        target=[work / "data/text_train"],
        source_dev=[work / "data/dev"],
        target_dev=[],
        dump=work / "dump",
        folder=folder / "out",
    )
    return read_json(folder / "out/run.json")


@pytest.mark.parametrize("base", ["compressed", "all"])
def test_target_text_and_source_speech_are_enough(work: Path, base: str, tmp_path: Path) -> None:
    record = train(work, base, tmp_path / "first")
    made = record["made"]["simulated"]
    assert made["pairs"] + made["held_out"] == sum(made["pairs_by_bin"].values()) <= 8
    assert made["cross_entropy"] > 0
    shown = {name for name, count in made["pairs_by_bin"].items() if count}
    assert {} != made["wer"].keys() <= shown
    assert all(row["simulated"] >= 0 for row in made["wer"].values())
    assert record["seen"].keys() == {"simulated/pseudo_audio"}
    assert record["audio_hours_target"] == record["audio_hours_simulated"] == 0
    trained = tmp_path / "first/out/model/trained.safetensors"
    assert all(".lora_" in name for name in load_file(trained))
    train(work, base, tmp_path / "again")
    assert (tmp_path / "again/out/model/trained.safetensors").read_bytes() == trained.read_bytes()
    other = train(work, base, tmp_path / "other", train={**TRAIN, "seed": 7})
    assert other["made"]["simulated"]["cross_entropy"] != made["cross_entropy"]


def test_source_speech_stands_beside_it(work: Path, tmp_path: Path) -> None:
    record = train(work, "compressed", tmp_path, tau=0.5, sigma_t=0, sigma_ta=0)
    assert record["seen"].keys() == {"simulated/pseudo_audio", "source/audio"}
    assert record["audio_hours_source"] > 0


@pytest.mark.parametrize(
    ("base", "message"), [("plain", "has no CTC"), ("projected", "projected vectors")]
)
def test_a_base_without_posteriors_is_refused(
    work: Path, tmp_path: Path, base: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(work, base, tmp_path)


def test_bins_without_a_pair_are_refused(work: Path, tmp_path: Path) -> None:
    bins = {"bins": [0, 1e-3, 100], "wer": [1e-3]}
    with pytest.raises(ConfigError, match="no source utterance is read with a WER in the bins"):
        train(work, "compressed", tmp_path, **bins)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"tau": 0}, "another method"),
        ({"wer": [5]}, "5 is no bound of bins"),
        ({"wer": []}, "name a bin"),
        ({"bins": [30, 0]}, "from low to high"),
        ({"simulator": {"width": 20, "heads": 4}}, "no multiple of twice 4 heads"),
    ],
)
def test_impossible_settings_are_refused(tmp_path: Path, knobs: dict, message: str) -> None:
    (tmp_path / "x.yaml").write_text(yaml.safe_dump({"method": "tasu2", "train": TRAIN, **knobs}))
    with pytest.raises(ConfigError, match=message):
        load_method(tmp_path / "x.yaml")


@pytest.mark.parametrize("base", ["compressed", "all"])
def test_whole_posteriors_give_what_the_llm_is_given(work: Path, base: str) -> None:
    model = load_bundle(work / "exp" / base / "model")
    corpus = Corpus.load([work / "data/train"])
    config = model.config
    corpus.open_frames(work / "dump", config.audio_model, config.encoder_settings)
    model.ctc.config = model.ctc.config.model_copy(update={"candidates": 10**6})
    for _, heard in hear(model, corpus, corpus.spoken):
        compress = base == "compressed"
        found = given(heard, model.ctc.temperature, compress, len(model.units) + 1)
        np.testing.assert_allclose(found.vectors(_table(model)), heard.vectors, atol=1e-4)
        assert (len(found.symbols) == len(heard.logits)) == (base == "all")
    pairs = pairs_of(model, corpus, corpus.spoken, 4)
    assert {p.utt_id for p in pairs} <= {*read_table(work / "data/train/text")}
    assert all(p.posteriors.symbols.shape[1] == 4 for p in pairs)


def test_bins_of_wer() -> None:
    bounds = (0, 10, 30)
    assert [bin_of(w, bounds) for w in (0, 0.1, 10, 30, 150)] == [0, 1, 1, 2, 2]
    said = {"a": "one two", "b": ""}
    assert word_errors(said, {"a": "one too", "b": "x"}) == {"a": 50.0}


def test_bins_are_opened_at_evaluations_and_stay_open() -> None:
    empty = Posteriors(np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32))
    text = {"a": "x"}
    corpus = SimulatedText("t", text, text, {"a": [[empty]] * 4}, np.eye(1, dtype=np.float32))
    control = HarderBins(corpus, 0.25, 0.5)
    assert corpus.open_bins == 1
    assert control.observe(0, {}) is None
    assert control.observe(5, {}) == "open_bins=3"
    state = control.state()
    assert control.observe(10, {}) == "open_bins=4" and control.observe(15, {}) is None
    corpus.open_bins = 4
    again = HarderBins(corpus, 0.25, 0.5)
    again.restore(state)
    assert corpus.open_bins == 3
