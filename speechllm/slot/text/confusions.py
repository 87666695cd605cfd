"""Noise as the projector makes it, for text that was never spoken.

Where speech stands beside its transcript, the projector's output can be read as text
(`projected_text`). Both aligned say what becomes of each letter; the same is then done to other
text. 2601.20900 shows that projected text looks garbled, and imitates it with constants; to learn
the garbling from pairs is this toolkit's own addition.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import accumulate

import jiwer

START, END = "<s>", "</s>"
"""Stand for the places before the first letter and after the last."""


class Confusions:
    """For each letter the strings that it becomes, as often as it was seen to become them.

    Letters are taken one by one, without regard to their neighbours. One that never was in a
    transcript stays as it is.

    Args:
        pairs: transcripts, and what they look like once projected.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]):
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for transcript, projected in pairs:
            for letter, found in aligned(transcript, projected):
                counts[letter][found] += 1
        self.becomes = {
            letter: (sorted(found), list(accumulate(found[s] for s in sorted(found))))
            for letter, found in counts.items()
        }

    def corrupt(self, text: str, rng: random.Random) -> str:
        """Let every letter become one of its strings, by chance."""
        return "".join(self._draw(letter, rng) for letter in (START, *text, END)).strip()

    def _draw(self, letter: str, rng: random.Random) -> str:
        if letter not in self.becomes:
            return letter
        strings, weights = self.becomes[letter]
        return rng.choices(strings, cum_weights=weights)[0]


def aligned(transcript: str, projected: str) -> list[tuple[str, str]]:
    """Each letter of a transcript with what stands for it, by an alignment of least edits.

    What was inserted belongs to the letter before it; before and after all, to START and END.
    """
    transcript, projected = transcript.strip(), projected.strip()
    if not transcript:
        return []
    letters = [START, *transcript, END]
    found = [""] * len(letters)
    for chunk in jiwer.process_characters(transcript, projected).alignments[0]:
        part = projected[chunk.hyp_start_idx : chunk.hyp_end_idx]
        if chunk.type == "insert":
            at_end = chunk.ref_start_idx == len(transcript)
            found[chunk.ref_start_idx + at_end] += part
        elif chunk.type != "delete":
            for i, letter in enumerate(part):
                found[chunk.ref_start_idx + 1 + i] += letter
    return list(zip(letters, found, strict=True))
