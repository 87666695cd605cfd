from pathlib import Path

import numpy as np
import pytest
import torch

from speechllm.config import DEFAULT_PROMPT
from speechllm.errors import ConfigError
from speechllm.slot.collate import IGNORED, Example, collate
from speechllm.slot.prompt import Prompt, make_prompt
from speechllm.slot.pseudo_audio.contents import Soft
from speechllm.standin.llm import train_tokenizer
from tests.helpers.tiny import SENTENCES

PROMPT = Prompt(prefix=(1, 2), suffix=(3,), eos=4, pad=0, bos=5)


def test_layout_by_hand() -> None:
    frames = np.ones((5, 7), np.float16)
    batch = collate(
        [Example("a", "audio", frames, [10]), Example("b", "empty", [], [20, 21])],
        PROMPT,
        lambda frames: frames // 2,
    )
    assert batch.input_ids.tolist() == [[1, 2, 0, 0, 3, 10, 4], [0, 1, 2, 3, 20, 21, 4]]
    assert batch.attention_mask.tolist() == [[1] * 7, [0] + [1] * 6]
    i = IGNORED
    assert batch.labels.tolist() == [[i, i, i, i, i, 10, 4], [i, i, i, i, 20, 21, 4]]
    assert batch.speech_mask.nonzero().tolist() == [[0, 2], [0, 3]]
    assert batch.frames.shape == (1, 5, 7) and batch.frame_lengths.tolist() == [5]


def test_text_in_the_slot_carries_no_loss() -> None:
    batch = collate([Example("a", "noisy_text", [8, 9], [10])], PROMPT, lambda n: n)
    assert batch.input_ids.tolist() == [[1, 2, 8, 9, 3, 10, 4]]
    assert batch.labels.tolist() == [[IGNORED] * 5 + [10, 4]]
    assert not batch.speech_mask.any() and batch.frames is None


def test_soft_prompt_and_no_prompt_by_hand() -> None:
    batch = collate(
        [Example("a", "soft_prompt", Soft(2), [10]), Example("b", "no_prompt", None, [20, 21])],
        PROMPT,
        lambda n: n,
    )
    assert batch.input_ids.tolist() == [[1, 2, 0, 0, 3, 10, 4], [0, 0, 0, 5, 20, 21, 4]]
    assert batch.attention_mask.tolist() == [[1] * 7, [0] * 3 + [1] * 4]
    i = IGNORED
    assert batch.labels.tolist() == [[i, i, i, i, i, 10, 4], [i, i, i, i, 20, 21, 4]]
    assert batch.soft_mask.nonzero().tolist() == [[0, 2], [0, 3]]
    assert not batch.speech_mask.any() and batch.frames is None


def test_decoding_stops_at_the_prompt() -> None:
    batch = collate([Example("a", "empty", [], [10])], PROMPT, lambda n: n, with_target=False)
    assert batch.input_ids.tolist() == [[1, 2, 3]]
    assert torch.equal(batch.labels, torch.full((1, 3), IGNORED))


def test_a_batch_moves_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as can be seen without a GPU, to which alone copies may go on meanwhile."""
    batch = collate([Example("a", "audio", np.ones((2, 3), np.float16))], PROMPT, lambda n: n)
    assert batch.soft_mask is None and batch.frames is not None
    there = batch.to("meta")
    assert there.frames.is_meta and there.frame_lengths.is_meta and there.soft_mask is None
    assert there.examples == batch.examples
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 1)
    assert torch.equal(batch.pinned().frames, batch.frames + 1)


def test_the_prompt_is_the_rendered_template_cut_at_the_marker() -> None:
    tokenizer = train_tokenizer(SENTENCES, 300)
    prompt = make_prompt(tokenizer, DEFAULT_PROMPT)
    text = tokenizer.decode([*prompt.prefix, *prompt.suffix])
    assert "Transcribe speech to text. Speech: ." in text and "<speech>" not in text
    assert prompt.eos == tokenizer.eos_token_id


@pytest.mark.parametrize("text", ["no marker", "<speech> and <speech>"])
def test_a_prompt_needs_one_marker(text: str) -> None:
    with pytest.raises(ConfigError, match="once"):
        make_prompt(train_tokenizer(SENTENCES, 300), text)


def test_a_tokenizer_without_chat_template_names_the_key(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(SENTENCES, 300)
    tokenizer.chat_template = None
    with pytest.raises(ConfigError, match=r"model\.chat_template"):
        make_prompt(tokenizer, DEFAULT_PROMPT)
    given = make_prompt(tokenizer, DEFAULT_PROMPT, "{{ messages[0]['content'] }} =>")
    assert tokenizer.decode(given.suffix).endswith("=>")
