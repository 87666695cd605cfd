"""Answers of a given form, whatever the tokenizer and however little room there is."""

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from speechllm.decode.config import DecodeConfig
from speechllm.decode.decoder import Decoder
from speechllm.decode.form.token_bytes import token_bytes
from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.slot.collate import Example
from tests.helpers.tiny import SENTENCES

pytest.importorskip("outlines_core", reason="needs the extra: pip install 'speechllm[constrained]'")

from speechllm.decode.form.constraint import Constraint, TokenAutomaton

WORD = r'[^\s"\\\x00-\x1f\x7f]'
ENTITY = rf'\{{"type": "(size|roast)", "filler": "{WORD}+( {WORD}+)*"\}}'
PATTERN = rf'\{{"scenario": "(coffee|tea)", "entities": \[({ENTITY}(, {ENTITY})*)?\]\}}'
SAMPLE = '{"scenario": "tea", "entities": [{"type": "size", "filler": "a déjà \u4f60"}]}'
TEXT = [*SENTENCES, *[SAMPLE] * 3]


def byte_level(text: list[str]) -> PreTrainedTokenizerFast:
    """As GPT-2, Llama 3 and Qwen write bytes."""
    from speechllm.standin.llm import train_tokenizer

    return train_tokenizer(text, 330)


def sentencepiece(text: list[str], unigram: bool = False) -> PreTrainedTokenizerFast:
    """As Llama 2 and Vicuna (BPE) or T5 (unigram): a mark for blanks, bytes as a last resort."""
    specials = ["<unk>", "<s>", "</s>"]
    size = {"vocab_size": 420, "show_progress": False}
    if unigram:
        trainer = trainers.UnigramTrainer(unk_token="<unk>", special_tokens=specials, **size)
        backend = Tokenizer(models.Unigram())
    else:
        pieces = [*specials, *(f"<0x{byte:02X}>" for byte in range(256))]
        trainer = trainers.BpeTrainer(special_tokens=pieces, limit_alphabet=40, **size)
        backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    backend.train_from_iterator(text, trainer)
    # SentencePiece has its bytes as pieces that are no special tokens.
    state = json.loads(backend.to_str())
    state["added_tokens"] = [t for t in state["added_tokens"] if t["content"] in specials]
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
    )


TOKENIZERS = {
    "byte level": lambda: byte_level(TEXT),
    "bpe": lambda: sentencepiece(TEXT),
    "unigram": lambda: sentencepiece(TEXT, unigram=True),
}


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return TOKENIZERS[request.param]()


@pytest.fixture(scope="module")
def automaton(tokenizer: Any) -> TokenAutomaton:
    return TokenAutomaton(tokenizer, PATTERN, SAMPLE, tokenizer.eos_token_id)


def walk(automaton: TokenAutomaton, bound: int, rng: random.Random) -> list[int]:
    """Tokens drawn from those allowed, until an end is drawn or nothing else is possible."""
    state: int | None = automaton.start
    ids: list[int] = []
    while True:
        assert state is not None
        allowed = automaton.allowed(state, bound - len(ids)).tolist()
        if automaton.final[state] and (not allowed or rng.random() < 0.5):
            return ids
        ids.append(rng.choice(allowed))
        state = automaton.step(state, ids[-1])


def test_tokens_are_known_as_bytes(tokenizer: Any) -> None:
    written = token_bytes(tokenizer, SAMPLE)
    for text in (*TEXT, '"}]}', "a  b"):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert b"".join(written[i] for i in ids).decode().lstrip() == text
    assert tokenizer.eos_token_id not in written


def test_any_walk_is_of_the_form_and_keeps_its_bound(tokenizer: Any, automaton: Any) -> None:
    shortest = int(automaton.steps_left[automaton.start])
    rng = random.Random(0)
    lengths = set()
    for n in range(300):
        bound = shortest + n % 60
        ids = walk(automaton, bound, rng)
        assert len(ids) <= bound
        said = json.loads(tokenizer.decode(ids, skip_special_tokens=True))
        assert said["scenario"] in ("coffee", "tea")
        for entity in said["entities"]:
            assert entity["type"] in ("size", "roast")
            assert entity["filler"] and entity["filler"] == " ".join(entity["filler"].split())
        lengths.add(len(said["entities"]))
    assert {0, 1, 2} <= lengths


def test_training_answers_can_be_written(tokenizer: Any, automaton: TokenAutomaton) -> None:
    ids = tokenizer(SAMPLE, add_special_tokens=False).input_ids
    state: int | None = automaton.start
    for place, token in enumerate(ids):
        assert token in automaton.allowed(state, len(ids) - place)
        state = automaton.step(state, token)
    assert automaton.final[state]
    assert len(ids) >= automaton.steps_left[automaton.start]


def test_a_token_that_cannot_follow_has_no_state(automaton: TokenAutomaton) -> None:
    assert automaton.step(automaton.start, 10**6) is None
    assert automaton.step(None, 0) is None


def test_a_tokenizer_of_another_kind_is_refused(tmp_path: Path) -> None:
    backend = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "tea": 2}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    words = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="</s>")
    with pytest.raises(ConfigError, match="does not know"):
        TokenAutomaton(words, PATTERN, SAMPLE, 1)


def test_labels_that_no_token_can_write(tokenizer: Any) -> None:
    kept = {"x": 5, "y": 6}

    class Two:
        def __init__(self) -> None:
            self.name_or_path = "two"
            self.added_tokens_decoder: dict = {}
            self.all_special_ids = [0]

        def get_vocab(self) -> dict[str, int]:
            return kept

        def __call__(self, text: str, add_special_tokens: bool) -> Any:
            return type("Encoded", (), {"input_ids": [kept[c] for c in text]})

    with pytest.raises(ConfigError, match="no tokens"):
        TokenAutomaton(Two(), PATTERN, "xy", 0)


def answers(model: Any, rows: list[Example], config: DecodeConfig) -> list[list[str]]:
    automaton = TokenAutomaton(model.tokenizer, PATTERN, SAMPLE, model.prompt.eos)
    decoder = Decoder(model, config, [Constraint(automaton, [model.prompt.eos])])
    decoded = decoder.decode(rows, [len(e.slot) / 25 for e in rows])
    return [[c.hypothesis.text for c in d.nbest] or [d.best.text] for d in decoded]


def rows() -> list[Example]:
    rng = np.random.default_rng(0)
    lengths = (7, 50, 23, 31, 80, 12)
    return [
        Example(f"utt{i}", "audio", rng.normal(0, 3, (n, 16)).astype(np.float16))
        for i, n in enumerate(lengths)
    ]


@pytest.mark.parametrize(("beam", "nbest"), [(1, 1), (4, 1), (4, 3)])
def test_a_random_model_answers_in_form_whatever_the_batch(
    model: Any, beam: int, nbest: int
) -> None:
    config = DecodeConfig(beam=beam, nbest=nbest, max_tokens_per_second=40, min_tokens=45)
    together = answers(model, rows(), config)
    assert together == [answers(model, [row], config)[0] for row in rows()]
    said = [text for lists in together for text in lists]
    assert len(set(said)) > 1, "the test needs answers that differ"
    for text in said:
        found = json.loads(text)
        assert found["scenario"] in ("coffee", "tea")
        assert all(e["type"] in ("size", "roast") and e["filler"] for e in found["entities"])


def test_a_bound_below_the_shortest_answer_is_an_error(model: Any) -> None:
    with pytest.raises(ConfigError, match="min_tokens"):
        answers(model, rows(), DecodeConfig(max_tokens_per_second=1, min_tokens=4))


def test_without_the_library_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tokenizer: Any
) -> None:
    monkeypatch.setitem(sys.modules, "outlines_core", None)
    with pytest.raises(SpeechLLMError, match=r"pip install 'speechllm\[constrained\]'"):
        TokenAutomaton(tokenizer, PATTERN, SAMPLE, tokenizer.eos_token_id)
