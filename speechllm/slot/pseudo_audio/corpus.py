"""Text that fills the speech slot with what its speech might have given."""

import random
from collections.abc import Mapping

from speechllm.slot.corpus import Corpus
from speechllm.slot.pseudo_audio.contents import Slot


class PseudoAudio(Corpus):
    """Utterances without audio that are heard all the same; a subclass says as what.

    Args:
        name: of the text.
        text: transcript by utterance id.
        targets: what the LLM has to answer, by utterance id.
    """

    def __init__(self, name: str, text: Mapping[str, str], targets: Mapping[str, str]):
        super().__init__([])
        self.name, self.text, self.targets = name, dict(text), dict(targets)

    def simulate(self, utt_id: str, rng: random.Random) -> Slot:
        """Encoder frames [T, D], or `Projected`; the generator is the only source of chance."""
        raise NotImplementedError
