from pathlib import Path

import numpy as np
import pytest

from speechllm.errors import ConfigError, DataError
from speechllm.slot.collate import Example
from speechllm.slot.corpus import Corpus
from speechllm.slot.pseudo_audio.contents import Soft
from speechllm.slot.pseudo_audio.posteriors import (
    Codebook,
    CtcHead,
    SimulatedCorpus,
    SimulationConfig,
)
from speechllm.slot.text.noise import NoiseConfig
from speechllm.slot.views import VIEWS, Views, check_view
from speechllm.standin.llm import train_tokenizer
from tests.helpers.tiny import SENTENCES, make_set

FRAMES = np.zeros((12, 4), np.float16)


@pytest.fixture
def views(tmp_path: Path) -> Views:
    corpus = Corpus.load([make_set(tmp_path / "set", "spk", audio=False)])
    corpus.frames = dict.fromkeys(corpus.text, FRAMES)
    corpus.frame_counts = dict.fromkeys(corpus.text, 12)
    tokenizer = train_tokenizer(SENTENCES, 300)
    corpus.measure(tokenizer, lambda frames: frames // 5)
    snapped = dict.fromkeys(corpus.text, "th kow eet")
    return Views(tokenizer, {"source": corpus}, NoiseConfig(), 7, snapped, 30)


def slot_text(views: Views, view: str, epoch: int = 0) -> str:
    return views.tokenizer.decode(views.render(view, "source", "spk-0", epoch).slot)


def test_what_each_view_puts_into_the_slot(views: Views) -> None:
    assert views.render("audio", "source", "spk-0").slot is FRAMES
    assert slot_text(views, "empty") == ""
    assert slot_text(views, "clean_text") == SENTENCES[0]
    assert slot_text(views, "projected_text") == "th kow eet"
    assert slot_text(views, "noisy_text") not in ("", SENTENCES[0])
    assert views.render("no_prompt", "source", "spk-0").slot is None
    assert views.render("soft_prompt", "source", "spk-0").slot == Soft(30)
    vague = views.render("upsample_mask", "source", "spk-0").slot
    assert vague.count(views.tokenizer.pad_token_id) == len(vague) // 2


def test_the_target_is_always_the_transcript(views: Views) -> None:
    for view in VIEWS.keys() - {"pseudo_audio", "hotwords"}:
        example = views.render(view, "source", "spk-0")
        assert views.tokenizer.decode(example.target) == SENTENCES[0]


def test_where_the_answer_is_not_the_transcript_the_slot_still_holds_the_transcript(
    views: Views,
) -> None:
    corpus = views.corpora["source"].label(dict.fromkeys(views.corpora["source"].text, "yes"))
    corpus.measure(views.tokenizer, lambda frames: frames // 5)
    for view in VIEWS.keys() - {"pseudo_audio", "hotwords"}:
        example = views.render(view, "source", "spk-0")
        assert views.tokenizer.decode(example.target) == "yes"
        assert views.tokenizer.decode(example.transcript) == SENTENCES[0]
    assert slot_text(views, "clean_text") == SENTENCES[0]
    for view in ("audio", "empty", "clean_text", "projected_text"):
        example = views.render(view, "source", "spk-0")
        slot = 12 // 5 if view == "audio" else len(example.slot)
        assert views.length(view, "source", "spk-0") == slot + len(example.target)


def test_noise_is_fresh_in_every_epoch_and_the_same_again(views: Views) -> None:
    assert slot_text(views, "noisy_text", 1) == slot_text(views, "noisy_text", 1)
    assert len({slot_text(views, "noisy_text", epoch) for epoch in range(5)}) == 5


def test_lengths_are_exact_where_they_can_be(views: Views) -> None:
    for view in ("audio", "empty", "clean_text", "projected_text"):
        example = views.render(view, "source", "spk-0")
        slot = 12 // 5 if view == "audio" else len(example.slot)
        assert views.length(view, "source", "spk-0") == slot + len(example.target)


def test_lengths_without_slot_of_their_own(views: Views) -> None:
    tokens = views.length("empty", "source", "spk-0")
    assert views.length("soft_prompt", "source", "spk-0") == 30 + tokens
    assert views.length("no_prompt", "source", "spk-0") == tokens  # beside a prompt's overhead
    assert views.length("upsample_mask", "source", "spk-0") == round(1.5 * tokens) + tokens


def test_noise_like_the_projectors_is_learnt_from_the_source(views: Views) -> None:
    corpus = views.corpora["source"]
    views.noise = NoiseConfig(kind="projector")
    views.projected = {utt: text.replace("e", "i") for utt, text in corpus.text.items()}
    assert slot_text(views, "noisy_text") == SENTENCES[0].replace("e", "i")


@pytest.mark.parametrize("kind", ["naive", "random", "echo", "empty", "projector"])
def test_every_kind_of_noise_is_about_as_long_as_planned(views: Views, kind: str) -> None:
    views.noise = NoiseConfig(kind=kind)
    corpus = views.corpora["source"]
    planned = sum(views.length("noisy_text", "source", utt) for utt in corpus.text)
    rendered = [
        views.render("noisy_text", "source", utt, epoch)
        for utt in corpus.text
        for epoch in range(10)
    ]
    lengths = sum(len(e.slot) + len(e.target) for e in rendered) / 10
    assert lengths == pytest.approx(planned, rel=0.25)


def test_posteriors_are_simulated_anew_in_every_epoch(views: Views) -> None:
    head = CtcHead(np.eye(3, dtype=np.float32), np.zeros(3, np.float32), 0, frozenset({0}))
    book = Codebook(np.eye(3, dtype=np.float32), np.ones(3), [1, 2], [0, 1], [0, 3])
    text, symbols = {"spk-0": SENTENCES[0]}, {"spk-0": [1, 2] * 8}
    corpus = SimulatedCorpus("target", text, text, symbols, head.alphabet, book, SimulationConfig())
    views.corpora = {"simulated": corpus.measure(views.tokenizer, lambda frames: frames // 5)}

    def example(epoch: int) -> Example:
        return views.render("pseudo_audio", "simulated", "spk-0", epoch)

    assert views.tokenizer.decode(example(0).target) == SENTENCES[0]
    assert example(0).slot.dtype == np.float16 and example(0).has_speech
    np.testing.assert_array_equal(example(1).slot, example(1).slot)
    assert len({example(epoch).slot.tobytes() for epoch in range(5)}) == 5


def test_posteriors_need_a_corpus_that_simulates(views: Views) -> None:
    with pytest.raises(ConfigError, match="prepared for it"):
        views.render("pseudo_audio", "source", "spk-0")


def test_an_unknown_view_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'clean_text'"):
        check_view("cleantext")


def test_the_same_id_in_two_sets_is_refused(tmp_path: Path) -> None:
    paths = [make_set(tmp_path / name, "spk", audio=False) for name in ("one", "two")]
    with pytest.raises(DataError, match=r"spk-0 is also in another set of one\+two"):
        Corpus.load(paths)


def test_text_in_the_slot_may_be_spelled_otherwise_than_the_answer(views) -> None:
    spelled = Views(views.tokenizer, views.corpora, spell=lambda text: [7] * len(text))
    domain, corpus = next(iter(views.corpora.items()))
    utt, text = next(iter(corpus.text.items()))
    shown = spelled.render("clean_text", domain, utt)
    assert shown.slot == shown.transcript == [7] * len(text)
    assert shown.target == views.render("clean_text", domain, utt).target
    usual = spelled.length("clean_text", domain, utt)
    assert usual == len(text) + corpus.target_tokens[utt]
