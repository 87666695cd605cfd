"""A new view is a class and an entry of the register: it is planned, rendered and trained with."""

import random
from pathlib import Path

import pytest

from speechllm.adapt.base import train_base
from speechllm.config import BaseConfig
from speechllm.data.dirs.kaldi import DataDir
from speechllm.data.speech.features import extract, merge
from speechllm.errors import ConfigError
from speechllm.files.own import read_json
from speechllm.model.encoder.encoder import Encoder
from speechllm.slot.corpus import Corpus
from speechllm.slot.pseudo_audio.contents import Slot
from speechllm.slot.views import VIEWS, View, Views, shown_by
from tests.helpers.tiny import make_encoder, make_llm, make_set


class BackwardsView(View):
    """The transcript's tokens, the last one first."""

    needs = "transcript"

    def fill(self, views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
        return views.in_slot(corpus.text[utt_id])[::-1]

    def length(self, views: Views, corpus: Corpus, utt_id: str) -> int:
        return views.text_length(corpus, utt_id)


def test_a_base_is_trained_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, llm = str(make_encoder(tmp_path / "encoder")), str(make_llm(tmp_path / "llm"))
    sets = [make_set(tmp_path / "data" / name, name) for name in ("train", "dev")]
    dirs = [DataDir.load(path) for path in sets]
    extract(dirs, tmp_path / "dump", encoder, lambda: Encoder(encoder).encode)
    merge(dirs, tmp_path / "dump", encoder)
    config = BaseConfig(
        model={"encoder": encoder, "llm": llm, "projector": {"downsampling": 2, "hidden": 16}},
        trainable=("llm.*",),
        views={"audio": 0.5, "backwards": 0.5},
        train={"steps": 4, "batch_positions": 400, "lr": 1e-2, "warmup_steps": 1},
    )
    arguments = (config, sets[:1], sets[1:], tmp_path / "dump", tmp_path / "base")
    with pytest.raises(ConfigError, match="no view 'backwards'"):
        train_base(*arguments)
    monkeypatch.setitem(VIEWS, "backwards", BackwardsView())
    train_base(*arguments)
    assert read_json(tmp_path / "base/run.json")["seen"].keys() == {
        "source/audio",
        "source/backwards",
    }


def test_it_is_planned_by_its_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoTokenizer

    monkeypatch.setitem(VIEWS, "backwards", BackwardsView())
    tokenizer = AutoTokenizer.from_pretrained(make_llm(tmp_path / "llm"))
    corpus = Corpus.load([make_set(tmp_path / "set", "spk", audio=False)])
    corpus.measure(tokenizer, lambda frames: frames)
    views = Views(tokenizer, {"source": corpus})
    assert shown_by("backwards", corpus) == list(corpus.text)
    for utt in corpus.text:
        example = views.render("backwards", "source", utt)
        assert example.slot == list(example.target)[::-1]
        assert views.length("backwards", "source", utt) == 2 * len(example.target)


def test_one_without_a_length_cannot_be_made() -> None:
    class Endless(View):
        def fill(self, views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
            return []

    with pytest.raises(TypeError, match="length"):
        Endless()
