"""Corpus of text whose speech is simulated."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from speechllm.slot.corpus import Corpus
from speechllm.slot.pseudo_audio.contents import Slot


class PseudoAudio(Corpus):
    """Utterances without audio that are shown as speech, which a subclass simulates.

    Args:
        name: name of the text.
        text: transcript by utterance id.
        targets: expected answer by utterance id.
        lengths: length of each utterance, or the one to expect: batches are planned before
            speech is simulated.
        projected: LLM inputs are simulated, and a length is one of LLM positions; False: encoder
            frames are, which the projector shortens.
    """

    def __init__(
        self,
        name: str,
        text: Mapping[str, str],
        targets: Mapping[str, str],
        lengths: Mapping[str, int],
        projected: bool = True,
    ):
        super().__init__([])
        self.name, self.text, self.targets = name, dict(text), dict(targets)
        self.frame_counts, self.projected = dict(lengths), projected

    def measure(self, tokenizer: Any, speech_length: Callable[[int], int]) -> "PseudoAudio":
        """Count tokens and speech positions; LLM inputs are counted without `speech_length`."""
        super().measure(tokenizer, (lambda count: count) if self.projected else speech_length)
        return self

    def simulate(self, utt_id: str, rng: random.Random) -> Slot:
        """Simulate encoder frames [T, D], or LLM inputs (`Projected`), for an utterance.

        Args:
            utt_id: utterance id.
            rng: the only source of chance.

        Raises:
            NotImplementedError: a subclass lacks this method.
        """
        raise NotImplementedError
