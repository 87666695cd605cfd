"""Everything on at once: batching changes nothing, and every option leaves its record."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speechllm.config import parse
from speechllm.data.dirs.bias_lists import BiasLists
from speechllm.decode.config import DecodeConfig
from speechllm.decode.decoder import Decoded, Decoder
from speechllm.errors import ConfigError, DataError
from speechllm.slot.collate import Example
from tests.helpers.tiny import SENTENCES

WORDS = sorted({word for sentence in SENTENCES for word in sentence.split()})
LISTS = BiasLists({"utt1": ["green grass", "cow"], "utt2": []}, WORDS)
LENGTHS = (7, 50, 23, 31, 80, 12)


def examples() -> list[Example]:
    rng = np.random.default_rng(0)
    return [
        Example(f"utt{i}", "audio", rng.normal(0, 3, (n, 16)).astype(np.float16))
        for i, n in enumerate(LENGTHS)
    ]


def config(**settings: Any) -> DecodeConfig:
    return parse(DecodeConfig, {"max_tokens_per_second": 8, **settings}, "test")


def decode(model: Any, rows: list[Example], lists: BiasLists = LISTS, **settings) -> list[Decoded]:
    decoder = Decoder(model, config(**settings))
    decoder.use_lists(lists)
    return decoder.decode(rows, [len(e.slot) / 25 for e in rows])


def texts(decoded: list[Decoded]) -> list[str]:
    return [one.best.text for one in decoded]


EVERYTHING = {
    "biasing": {"prompt": {"least": 0.2}, "trie": {"boost": 2.0}},
    "guard": {"repeats": 3, "max_words_per_unique": 1.2, "retry": {"no_repeat_ngram": 2}},
    "confidence": True,
    "word_times": "attention",
}


def rounded(decoded: Decoded) -> dict[str, Any]:
    """The record; confidences may differ in the last digit by the batch."""
    extra = json.loads(json.dumps(decoded.record().to_json()))
    extra["confidence"] = pytest.approx(extra["confidence"], abs=2e-4)
    for word in extra["words"]:
        for key, value in word.items():
            if not isinstance(value, str) and value is not None:
                word[key] = pytest.approx(value, abs=2e-3)
    return extra


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("filter_", ["first_pass", "ctc"])
def test_batch_size_never_changes_a_hypothesis(ctc_model, beam: int, filter_: str) -> None:
    settings = EVERYTHING | {"beam": beam}
    settings["biasing"] = {"prompt": {"filter": filter_, "least": 0.2}, "trie": {"boost": 2.0}}
    alone = [decode(ctc_model, [example], **settings)[0] for example in examples()]
    together = decode(ctc_model, examples(), **settings)
    pairs = [d for i in (0, 2, 4) for d in decode(ctc_model, examples()[i : i + 2], **settings)]
    for others in (together, pairs):
        assert [d.best for d in others] == [d.best for d in alone]
        for one, other in zip(alone, others, strict=True):
            assert one.record().to_json() == rounded(other)
    assert len(set(texts(alone))) > 3, "the test needs hypotheses that differ"
    assert any(d.guard.kept == "retry" for d in alone if d.guard)
    assert any(d.hotwords for d in alone)
    assert not alone[2].hotwords  # its own list is empty


@pytest.mark.parametrize("beam", [1, 4])
def test_penalties_do_not_depend_on_the_batch(ctc_model, beam: int) -> None:
    """Pads in front of a short utterance must not let its tokens repeat."""
    settings = {"repetition_penalty": 1.3, "no_repeat_ngram": 3, "beam": beam, "guard": None}
    alone = [decode(ctc_model, [example], **settings)[0].best for example in examples()]
    assert [d.best for d in decode(ctc_model, examples(), **settings)] == alone
    free = decode(ctc_model, examples(), beam=beam, guard=None)
    assert [d.best for d in free] != alone


def test_the_guard_leaves_alone_what_it_does_not_flag(ctc_model) -> None:
    without = decode(ctc_model, examples(), guard=None)
    with_guard = decode(ctc_model, examples())
    for one, other in zip(without, with_guard, strict=True):
        assert one.guard is None
        if other.guard is None:
            assert one.best == other.best


def test_a_retry_is_kept_only_if_it_mends_something_and_both_texts_are_told(ctc_model) -> None:
    first = decode(ctc_model, examples(), guard=None)
    found = decode(ctc_model, examples(), guard=EVERYTHING["guard"])
    notes = {i: d.guard for i, d in enumerate(found) if d.guard}
    assert notes
    for place, note in notes.items():
        assert note.first == first[place].best.text and note.retried and note.flags
        assert found[place].best.text == getattr(note, str(note.kept))
    flagged_only = decode(ctc_model, examples(), guard=EVERYTHING["guard"] | {"retry": None})
    assert texts(flagged_only) == texts(first)
    assert not any(d.guard.retried for d in flagged_only if d.guard)


@pytest.mark.parametrize("beam", [1, 4])
def test_a_boost_makes_listed_words_likely(ctc_model, beam: int) -> None:
    def hits(decoded: list[Decoded]) -> int:
        return sum(word in WORDS for text in texts(decoded) for word in text.split())

    before = decode(ctc_model, examples(), BiasLists(), beam=beam, biasing={"trie": {}})
    zero = decode(ctc_model, examples(), beam=beam, biasing={"trie": {"boost": 0.0}})
    boosted = decode(ctc_model, examples(), beam=beam, biasing={"trie": {"boost": 30.0}})
    assert texts(zero) == texts(before)
    assert hits(boosted) > hits(before)
    assert boosted[2].best == before[2].best  # its own list is empty


def test_no_repeated_ngrams_where_they_are_forbidden(ctc_model) -> None:
    for one in decode(ctc_model, examples(), no_repeat_ngram=2, guard=None):
        pairs = list(zip(one.best.ids, one.best.ids[1:], strict=False))
        assert len(pairs) == len(set(pairs))


def test_a_prompt_of_its_own_is_what_the_model_would_have_got_by_config(ctc_model) -> None:
    sentence = "The hotwords are cow."
    own = ctc_model.prompt_with(sentence)
    assert own.prefix == ctc_model.prompt.prefix
    text = ctc_model.tokenizer.decode(list(own.suffix))
    assert sentence in text
    [found] = decode(
        ctc_model,
        examples()[1:2],
        BiasLists({"utt1": ["cow"]}),
        biasing={"prompt": {"filter": "none", "template": "The hotwords are {}."}},
    )
    assert found.hotwords == ("cow",)


def test_entries_are_data(ctc_model) -> None:
    biasing = {"prompt": {"filter": "none"}}
    eos = ctc_model.tokenizer.eos_token
    with pytest.raises(DataError, match="special token"):
        decode(ctc_model, examples()[1:2], BiasLists({"utt1": [f"a {eos}"]}), biasing=biasing)
    [found] = decode(ctc_model, examples()[1:2], BiasLists({"utt1": ["{} {0}"]}), biasing=biasing)
    assert found.hotwords == ("{} {0}",)


def test_long_lists_need_a_filter(ctc_model) -> None:
    with pytest.raises(ConfigError, match=r"29 entries.*takes 20|entries, and a prompt takes 20"):
        decode(ctc_model, examples(), biasing={"prompt": {"filter": "none"}})


def test_confidence_is_a_product_of_tokens_and_words_are_those_of_the_text(ctc_model) -> None:
    for one in decode(ctc_model, examples(), confidence=True):
        words = one.words
        assert [word.word for word in words] == one.best.text.split()
        assert all(0 <= word.confidence <= 1 for word in words)
        assert all(word.start is None for word in words)
        assert 0 < one.confidence <= 1
    cold = decode(ctc_model, examples(), confidence=True, confidence_temperature=0.5)
    warm = decode(ctc_model, examples(), confidence=True, confidence_temperature=2.0)
    pairs = zip(cold, warm, strict=True)
    assert all(c.confidence > w.confidence for c, w in pairs)


def test_attention_gives_times_in_order_inside_the_utterance(ctc_model) -> None:
    decoder = Decoder(ctc_model, config(word_times="attention"))
    assert decoder.times_by == "attention"
    rows = examples()
    for one, row in zip(decode(ctc_model, rows, word_times="attention"), rows, strict=True):
        times = [(word.start, word.end) for word in one.words]
        flat = [moment for pair in times for moment in pair]
        assert flat == sorted(flat)
        assert not flat or (flat[0] >= 0 and flat[-1] <= len(row.slot) / 25 + 1e-3)


def test_ctc_times_follow_the_frames(ctc_model, tmp_path: Path) -> None:
    from speechllm.decode.config import SpellingConfig
    from speechllm.decode.words.ctc import CtcReader
    from speechllm.model.ctc import load_ctc_head

    head, tokenizer = load_ctc_head(ctc_model.config.audio_model)
    unit = head.weight / np.linalg.norm(head.weight, axis=1, keepdims=True)
    path = [0, 0, *tokenizer.convert_tokens_to_ids(["b", "b", "e", "e"]), 0]
    path += [*tokenizer.convert_tokens_to_ids(["c", "c", "o"]), 0]
    frames = (unit[path] * 400).astype(np.float16)
    assert head.posteriors(frames).argmax(1).tolist() == path, "the test needs such a head"
    (tmp_path / "lexicon").write_text("be b e\nco c o\n")
    reader = CtcReader(ctc_model, SpellingConfig(lexicon=str(tmp_path / "lexicon")))
    assert reader.heard(frames) == tokenizer.convert_tokens_to_ids(["b", "e", "c", "o"])
    times = reader.word_times(frames, ["be", "zzz", "co"], 1.1)
    assert times == [pytest.approx((0.2, 0.6)), None, pytest.approx((0.7, 1.0))]


def test_a_lexicon_in_another_case_is_told_once(ctc_model, tmp_path: Path, caplog) -> None:
    from speechllm.decode.config import SpellingConfig
    from speechllm.decode.words.ctc import CtcReader

    (tmp_path / "lexicon").write_text("BE b e\nCO c o\n")
    reader = CtcReader(ctc_model, SpellingConfig(lexicon=str(tmp_path / "lexicon")))
    assert not any([*reader.spell(["be", "we"]).values(), *reader.spell(["co"]).values()])
    assert caplog.text.count("known in capitals ('be' is 'BE' there): give ctc.fold=upper") == 1
    caplog.clear()
    spelling = SpellingConfig(lexicon=str(tmp_path / "lexicon"), fold="upper")
    assert all(CtcReader(ctc_model, spelling).spell(["be", "co"]).values())
    assert not caplog.text
    with pytest.raises(ConfigError, match="give lexicon"):
        config(ctc={"fold": "upper"})


def test_times_by_ctc_need_a_head_and_auto_says_what_it_took(tmp_path: Path) -> None:
    import torch

    from speechllm.config import ModelConfig
    from speechllm.model.speech_llm import SpeechLLM
    from tests.helpers.tiny import make_encoder, make_llm

    torch.manual_seed(0)
    encoder, llm = str(make_encoder(tmp_path / "encoder")), str(make_llm(tmp_path / "llm"))
    model = SpeechLLM(ModelConfig(encoder=encoder, llm=llm)).eval()
    with pytest.raises(ConfigError, match=r"word_times: ctc: .*no CTC head"):
        Decoder(model, config(word_times="ctc"))
    assert Decoder(model, config(word_times="auto")).times_by == "attention"
    assert Decoder(model, config()).times_by == "none"


@pytest.mark.parametrize(
    "settings",
    [
        {"biasing": {}},
        {"biasing": {"prompt": {"template": "no place"}}},
        {"biasing": {"prompt": {"template": "{} and {x}"}}},
        {"biasing": {"trie": {"grid": []}}},
        {"biasing": {"trie": {"boost": -1}}},
        {"guard": {"repeats": 1}},
        {"word_times": "perhaps"},
        {"constrained": True, "no_repeat_ngram": 3},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        config(**settings)


def test_a_temperature_of_speech_is_of_one_decoding_alone(expected_model) -> None:
    as_trained = Decoder(expected_model, config())
    given = Decoder(expected_model, config(speech_temperature=0.5))
    flat = Decoder(expected_model, config(speech_temperature=100))
    seconds = [n / 25 for n in LENGTHS]
    first, flattened, again, same = (
        texts(decoder.decode(examples(), seconds))
        for decoder in (as_trained, flat, as_trained, given)
    )
    assert first == again == same
    assert first != flattened


def test_a_temperature_of_speech_needs_posteriors(ctc_model) -> None:
    with pytest.raises(ConfigError, match=r"speech_temperature: .* posteriors"):
        Decoder(ctc_model, config(speech_temperature=2))
