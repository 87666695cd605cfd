"""What is heard by a base with CTC in its projector: text in its units."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from speechllm.adapt.made.heard import spelled
from speechllm.adapt.made.simulated import _of_speech
from speechllm.errors import ConfigError
from speechllm.slot.pseudo_audio.posteriors import Codebook, stretches

LETTERS = SimpleNamespace(
    tokenizer=lambda text, add_special_tokens: SimpleNamespace(input_ids=[ord(c) for c in text]),
    spell=None,
    units=torch.tensor([ord("a"), ord("b")]),
)
"""As a model with `ctc.alphabet: ab`."""


def test_text_is_spelled_in_units_without_what_they_lack(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert spelled(LETTERS, {"x": "bab", "y": "b-a"}) == {"x": [2, 1, 2], "y": [2, 1]}
        assert not caplog.records
        assert spelled(LETTERS, {"x": "a", "y": "--", "z": ""})["y"] == []
    assert "nothing is heard of 1 (y): their text has no symbol" in caplog.text


def test_text_in_another_script_is_refused() -> None:
    with pytest.raises(ConfigError, match="the target's text has no symbol"):
        spelled(LETTERS, {"x": "γ", "y": ""})


def test_speech_in_which_nothing_is_heard_is_no_measure() -> None:
    with pytest.raises(ConfigError, match="nothing but blanks in source speech"):
        _of_speech(Codebook(np.eye(2), np.zeros(2), *stretches([[0, 0], [0]], blank=0)))
