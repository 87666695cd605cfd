"""Transcripts are measured against the LLM's context, with its tokenizer and its prompt."""

from pathlib import Path

import pytest

from speechllm.errors import ConfigError
from speechllm.slot.context import transcript_limit

TEMPLATE = "{% for m in messages %}user: {{ m.content }}{% endfor %} assistant:"


@pytest.fixture
def make_llm(tmp_path):
    """Write an LLM folder without weights: one token for each word."""

    def make(positions: int, template: str | None = TEMPLATE) -> Path:
        from tokenizers import Tokenizer
        from tokenizers.models import WordLevel
        from tokenizers.pre_tokenizers import WhitespaceSplit
        from transformers import LlamaConfig, PreTrainedTokenizerFast

        words = Tokenizer(WordLevel({"<unk>": 0, "</s>": 1}, unk_token="<unk>"))
        words.pre_tokenizer = WhitespaceSplit()
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=words, unk_token="<unk>", eos_token="</s>", chat_template=template
        )
        tokenizer.save_pretrained(tmp_path)
        LlamaConfig(max_position_embeddings=positions, vocab_size=2).save_pretrained(tmp_path)
        return tmp_path

    return make


def test_prompt_slot_transcript_and_end_fit_exactly(make_llm):
    # "user: A <speech> B assistant:" is four words beside the marker, and the end is one token.
    limit = transcript_limit(make_llm(100), prompt="A <speech> B", audio_positions=40)
    assert limit("w " * 20) is None, "5 + 40 + 20"
    assert limit("w " * 31) is None, "5 + 2 x 31 + 31 = 98"
    assert limit("w " * 32) == "transcript does not fit the LLM's context of 100 positions"


def test_audio_takes_at_most_half_of_a_small_context(make_llm):
    limit = transcript_limit(make_llm(40), prompt="A <speech> B", audio_positions=300)
    assert limit("w " * 10) is None
    assert limit("w " * 16) is not None


def test_unusable_llm(make_llm, tmp_path):
    with pytest.raises(ConfigError, match="LLM cannot be read"):
        transcript_limit(tmp_path)
    with pytest.raises(ConfigError, match="no chat template"):
        transcript_limit(make_llm(100, template=None))
