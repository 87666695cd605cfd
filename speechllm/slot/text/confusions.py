"""Noise that imitates the projector, for text that was never spoken.

For speech with a transcript, the projector's output can be read as text (`projected_text`). An
alignment of both shows what each letter becomes; other text is then changed likewise. 2601.20900
shows that projected text looks garbled, and imitates it with constants; learning it from pairs is
this toolkit's own addition.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import accumulate

import jiwer

START, END = "<s>", "</s>"
"""Symbols of the places before the first letter and after the last."""


class Confusions:
    """Strings that each letter becomes, with their frequencies.

    Letters are taken one by one, without regard to their neighbours. A letter that was in no
    transcript stays as it is.

    Args:
        pairs: transcript and projected text of utterances.
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
        """Replace every letter by one of its strings, drawn by frequency."""
        return "".join(self._draw(letter, rng) for letter in (START, *text, END)).strip()

    def _draw(self, letter: str, rng: random.Random) -> str:
        if letter not in self.becomes:
            return letter
        strings, weights = self.becomes[letter]
        return rng.choices(strings, cum_weights=weights)[0]


def aligned(transcript: str, projected: str) -> list[tuple[str, str]]:
    """Align each letter of a transcript with its part of the projected text, by fewest edits.

    An insertion belongs to the letter before it; at the beginning to START, at the end to END.
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
