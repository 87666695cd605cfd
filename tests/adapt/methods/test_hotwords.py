"""Learning to use bias lists: what the LLM is shown, and that a run can be repeated."""

import random
from pathlib import Path

import numpy as np
import pytest

from speechllm.adapt.method import load_method
from speechllm.adapt.methods.hotwords import HotwordPrompter, HotwordTuning
from speechllm.data.dirs.kaldi import DataDir
from speechllm.errors import ConfigError
from speechllm.slot.collate import collate
from speechllm.slot.corpus import Corpus
from speechllm.slot.text.hotword_lists import HotwordLists, HotwordListsConfig
from speechllm.slot.views import Views
from tests.helpers.tiny import SENTENCES, make_speech_llm

CONFIG = "method: hotwords\nlists: {common: 1, empty: 0.25}\ntrain: {steps: 2}\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory):
    return make_speech_llm(tmp_path_factory.mktemp("model"))


@pytest.fixture
def source(model) -> Corpus:
    text = {f"u{n}": text for n, text in enumerate(SENTENCES)}
    corpus = Corpus([DataDir(Path("s"), "s", list(text), text, dict.fromkeys(text, "x.wav"))])
    rng = np.random.default_rng(0)
    corpus.frames = {u: rng.normal(size=(12, 16)).astype(np.float16) for u in corpus.text}
    corpus.frame_counts = dict.fromkeys(corpus.text, 12)
    return corpus.measure(model.tokenizer, model.projector.output_length)


@pytest.fixture
def method(tmp_path: Path) -> HotwordTuning:
    (tmp_path / "hotwords.yaml").write_text(CONFIG)
    return load_method(tmp_path / "hotwords.yaml")


def test_speech_is_shown_with_lists_and_sometimes_without(method, model, source) -> None:
    prompts = method.prompts(model, {"source": source})
    views = Views(model.tokenizer, {"source": source}, seed=1, prompts=prompts)
    shown = [views.render("hotwords", "source", u, e) for u in source.text for e in range(10)]
    alone = [example for example in shown if example.prompt is None]
    assert 5 < len(alone) < 40
    listed = next(example for example in shown if example.prompt)
    assert listed.prompt.prefix == model.prompt.prefix and listed.has_speech
    assert "The hotwords are" in model.tokenizer.decode(list(listed.prompt.suffix))
    again = Views(model.tokenizer, {"source": source}, seed=1, prompts=prompts)
    assert again.render("hotwords", "source", "u3", 2).prompt == (
        views.render("hotwords", "source", "u3", 2).prompt
    )
    assert len({example.prompt for example in shown}) > 40
    assert views.render("audio", "source", "u3").prompt is None


def test_each_row_of_a_batch_has_its_own_prompt(method, model, source) -> None:
    prompts = method.prompts(model, {"source": source})
    views = Views(model.tokenizer, {"source": source}, prompts=prompts)
    shown = [views.render("hotwords", "source", utt) for utt in source.text]
    batch = collate(shown, model.prompt, model.projector.output_length)
    for row, example in enumerate(shown):
        prompt = example.prompt or model.prompt
        ids = batch.input_ids[row][batch.attention_mask[row].bool()].tolist()
        speech = model.projector.output_length(12)
        tail = [*prompt.suffix, *example.target, model.prompt.eos]
        assert ids == [*prompt.prefix, *[model.prompt.pad] * speech, *tail]
        assert batch.speech_mask[row].sum() == speech
    alone = [collate([e], model.prompt, model.projector.output_length) for e in shown]
    total = sum(float(model(b).nll.detach()) for b in alone)
    assert float(model(batch).nll.detach()) == pytest.approx(total, rel=1e-4)


def test_batches_are_planned_with_room_for_the_lists(method, model, source) -> None:
    prompts = method.prompts(model, {"source": source})
    views = Views(model.tokenizer, {"source": source}, prompts=prompts)
    planned = views.length("hotwords", "source", "u0") - views.length("audio", "source", "u0")
    shown = [views.render("hotwords", "source", "u0", epoch) for epoch in range(200)]
    longer = [len(e.prompt.suffix) - len(model.prompt.suffix) if e.prompt else 0 for e in shown]
    assert 0.6 * planned < np.mean(longer) < 1.6 * planned


def test_dev_sets_are_heard_with_lists(method) -> None:
    [phase] = method.phases({"source": 8, "target": 8})
    assert phase.heard_as == "hotwords"
    assert [(c.view, c.domain) for c in phase.components] == [("hotwords", "source")]


def test_the_view_belongs_to_the_method(model, source) -> None:
    with pytest.raises(ConfigError, match="method of that name"):
        Views(model.tokenizer, {"source": source}).render("hotwords", "source", "u0")


def test_a_template_has_a_place_for_the_words(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(CONFIG + "template: no place\n")
    with pytest.raises(ConfigError, match="template"):
        load_method(tmp_path / "x.yaml")


def test_a_corpus_without_rare_words_gives_no_prompts(model) -> None:
    lists = HotwordLists(SENTENCES, HotwordListsConfig())
    assert HotwordPrompter(model, lists, "{}")("the cow", random.Random(0)) is None
