"""Lists and n-grams in another form than the words of a set: said, and folded if that is asked."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from speechllm.config import parse
from speechllm.data.dirs.bias_lists import BiasLists, write_words
from speechllm.decode.config import DecodeConfig
from speechllm.decode.decode_sets import decode_corpus
from speechllm.decode.decoder import Decoder
from speechllm.decode.form_warnings import say_fits, say_form
from speechllm.decode.hypothesis import Hypothesis
from speechllm.decode.scorers.build import make_scorers
from speechllm.errors import ConfigError
from speechllm.files.layout import DESCRIPTION, TENSORS
from speechllm.lm.arpa import write_arpa
from speechllm.lm.kneser_ney import estimate
from speechllm.lm.ngram import NGram
from speechllm.slot.collate import Example
from speechllm.slot.corpus import Corpus
from tests.helpers.tiny import SENTENCES, make_set

WORDS = sorted({word for sentence in SENTENCES for word in sentence.split()})
UPPER = BiasLists(
    {"utt1": ["GREEN GRASS.", "COW", "cow"], "utt2": ["..."]}, [*map(str.upper, WORDS)]
)
LOWER = BiasLists({"utt1": ["green grass", "cow"], "utt2": []}, WORDS)


@pytest.fixture(autouse=True)
def all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "speechllm")


def config(**settings: Any) -> DecodeConfig:
    return parse(DecodeConfig, {"max_tokens_per_second": 8, "beam": 2, **settings}, "test")


def arpa(folder: Path, upper: bool) -> str:
    sentences = [s.upper().split() if upper else s.split() for s in SENTENCES]
    write_arpa(folder / f"{upper}.arpa", estimate(sentences, 2))
    return str(folder / f"{upper}.arpa")


def test_folded_lists_are_those_of_the_other_form() -> None:
    assert UPPER.folded(["lower", "punctuation"]) == LOWER
    assert UPPER.folded([]) is UPPER
    assert parse(DecodeConfig, {"biasing": {"trie": {}, "fold": "lower"}}, "x").biasing.fold == (
        "lower",
    )
    with pytest.raises(ConfigError, match=r"biasing\.fold"):
        parse(DecodeConfig, {"biasing": {"trie": {}, "fold": "capitals"}}, "x")


@pytest.mark.parametrize("part", [{"trie": {"boost": 3.0}}, {"prompt": {"least": 0.1}}])
def test_a_search_with_folded_lists_is_the_one_with_the_right_lists(ctc_model, part) -> None:
    rng = np.random.default_rng(0)
    rows = [
        Example(f"utt{n}", "audio", rng.normal(0, 3, (20 + 9 * n, 16)).astype(np.float16))
        for n in range(4)
    ]
    found = {}
    for name, lists, fold in (
        ("right", LOWER, ()),
        ("folded", UPPER, ("lower", "punctuation")),
        ("as written", UPPER, ()),
    ):
        decoder = Decoder(ctc_model, config(biasing={**part, "fold": fold}))
        decoder.use_lists(lists)
        found[name] = [d.record() for d in decoder.decode(rows, [2.0] * 4)]
    assert found["folded"] == found["right"] != found["as written"]


def test_an_n_gram_in_capitals_is_asked_in_capitals(ctc_model, tmp_path: Path) -> None:
    ids = ctc_model.tokenizer(list(SENTENCES), add_special_tokens=False).input_ids
    hypotheses = [Hypothesis("u", "", ids=tuple(line), truncated=False) for line in ids]
    scores = {}
    for upper, fold in ((False, ()), (True, ("upper",)), (True, ())):
        fusion = {"kind": "shallow", "lm": arpa(tmp_path, upper), "weight": 1.0, "fold": fold}
        [source] = make_scorers(config(fusion=fusion), ctc_model)["fusion"]
        scores[upper, fold] = source.score(hypotheses)
    assert scores[True, ("upper",)] == pytest.approx(scores[False, ()], abs=1e-4)
    assert max(scores[True, ()]) < min(scores[False, ()])


def test_a_fold_that_nothing_would_follow_is_refused(ctc_model) -> None:
    with pytest.raises(ConfigError, match="fold is of an lm of words"):
        config(nbest=2, rescore={"kind": "prompt", "prompt": "farm", "fold": "lower"})
    fusion = {"kind": "shallow", "lm": ctc_model.config.llm, "weight": 1.0, "fold": "lower"}
    with pytest.raises(ConfigError, match=r"fusion\.fold: only words of an n-gram"):
        make_scorers(config(fusion=fusion), ctc_model)


def stand_in(settings: DecodeConfig, ngram: NGram | None = None) -> Any:
    """What `say_fits` looks at of a decoder."""
    from speechllm.decode.scorers.ngram_scorer import NGramScorer

    source = NGramScorer.__new__(NGramScorer)
    source.ngram, source.folds, source.place, source.section = ngram, (), "x.arpa", "rescore"
    sources = [source] if ngram else []
    return SimpleNamespace(config=settings, sources=[], rescorers=sources)


def test_what_fits_is_told_and_what_would_in_another_form_is_a_warning(caplog) -> None:
    biasing = config(biasing={"trie": {}})
    lists = BiasLists({}, ["cow", "gate", "rye"])
    assert say_fits(stand_in(biasing), lists, "farm", SENTENCES, "transcripts")
    assert "farm: 2 of 3 entries of its bias lists stand in the transcripts" in caplog.text
    assert "WARNING" not in caplog.text
    shouted = [sentence.upper() for sentence in SENTENCES]
    assert say_fits(stand_in(biasing), lists, "farm", shouted, "transcripts") is False
    assert "WARNING" in caplog.text and "2 more would in capitals" in caplog.text
    assert "('cow' is 'COW' there); give biasing.fold=upper" in caplog.text.replace(
        ": give", "; give"
    )
    folded = config(biasing={"trie": {}, "fold": "upper"})
    assert say_fits(stand_in(folded), lists, "farm", shouted, "transcripts")
    assert say_fits(stand_in(folded), lists, "farm", ["", ""], "transcripts") is None


def test_the_share_of_unknown_words_is_always_told(caplog) -> None:
    known = estimate([["the", "cow", "eats"]], 2)
    assert say_fits(stand_in(config(), known), BiasLists(), "farm", ["the cow ran off"], "hyps")
    assert "farm: 2 of 4 words of the hyps (50.0 %) are unknown to x.arpa" in caplog.text
    assert not say_fits(stand_in(config(), known), BiasLists(), "farm", ["THE COW, RAN"], "hyps")
    assert "2 of them are known in lower case and without punctuation" in caplog.text
    assert "give 'rescore.fold=[lower,punctuation]'" in caplog.text


def test_hypotheses_in_another_form_than_the_answers_are_told(caplog) -> None:
    say_form("farm", SENTENCES[:4], SENTENCES)
    say_form("farm", SENTENCES[:4], [""])
    assert not caplog.records
    say_form("farm", [sentence.upper() for sentence in SENTENCES], SENTENCES)
    assert "would in lower case" in caplog.text and "as in tuning" in caplog.text


@pytest.mark.parametrize("with_text", [True, False])
def test_decoding_a_set_says_it_with_and_without_transcripts(
    ctc_model, tmp_path: Path, caplog, with_text: bool
) -> None:
    folder = make_set(tmp_path / "farm_test", "spk")
    write_words(folder, [word.upper() for word in WORDS])
    corpus = Corpus.load([folder], with_text=with_text)
    rng = np.random.default_rng(0)
    counts = {utt: 10 + 7 * n for n, utt in enumerate(corpus.text)}
    corpus.frames = {utt: rng.normal(0, 3, (n, 16)).astype(np.float16) for utt, n in counts.items()}
    corpus.frame_counts = counts
    corpus.measure(ctc_model.tokenizer, ctc_model.projector.output_length)
    bundle = tmp_path / "model"
    bundle.mkdir()
    for name in (TENSORS, DESCRIPTION):
        (bundle / name).write_text("{}")
    settings = config(
        nbest=2,
        biasing={"trie": {"boost": 1.0}},
        fusion={"kind": "shallow", "lm": arpa(tmp_path, True), "weight": 0.1},
    )
    decode_corpus(Decoder.load(ctc_model, settings), corpus, bundle, tmp_path / "out")
    where = "transcripts" if with_text else "hypotheses"
    assert f"words of the {where}" in caplog.text
    if with_text:
        assert "give biasing.fold=lower" in caplog.text
        assert "give fusion.fold=upper" in caplog.text
        assert "hypotheses" not in caplog.text
