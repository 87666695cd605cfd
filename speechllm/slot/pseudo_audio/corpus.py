"""Corpus of text whose speech is simulated."""

import random
from collections.abc import Mapping

from speechllm.slot.corpus import Corpus
from speechllm.slot.pseudo_audio.contents import Slot


class PseudoAudio(Corpus):
    """Utterances without audio that are shown as speech, which a subclass simulates.

    Args:
        name: name of the text.
        text: transcript by utterance id.
        targets: expected answer by utterance id.
    """

    def __init__(self, name: str, text: Mapping[str, str], targets: Mapping[str, str]):
        super().__init__([])
        self.name, self.text, self.targets = name, dict(text), dict(targets)

    def simulate(self, utt_id: str, rng: random.Random) -> Slot:
        """Simulate encoder frames [T, D], or LLM inputs (`Projected`), for an utterance.

        Args:
            utt_id: utterance id.
            rng: the only source of chance.

        Raises:
            NotImplementedError: a subclass lacks this method.
        """
        raise NotImplementedError
