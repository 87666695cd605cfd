"""Search for bias-list entries near to a first pass's hypothesis, in spelling or in sound.

A prompt has room for some twenty words; lists have thousands. As in CTC-assisted LLM-based ASR
(2411.06437), a rough transcript decides which of them may have been said.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from rapidfuzz import fuzz, process
from rapidfuzz.distance import Levenshtein

_SOUNDS = [
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"^kn|^gn", "n"),
        (r"^wr", "r"),
        (r"ph", "f"),
        (r"gh(?=t|$)|mb$", ""),
        (r"sch|tch|ch|sh|(?<=[aeiou])ti(?=on)", "S"),
        (r"th", "t"),
        (r"[sc]?c(?=[eiy])", "s"),
        (r"ck|q|c", "k"),
        (r"dge|g(?=[eiy])|j", "S"),
        (r"x", "ks"),
        (r"[aeiouyw]+", "a"),
        (r"h", ""),
        (r"[bp]", "p"),
        (r"[dt]", "t"),
        (r"[gk]", "k"),
        (r"[fv]", "f"),
        (r"[sz]", "s"),
    )
]
_DOUBLE = re.compile(r"(.)\1+")


def spelling(text: str) -> str:
    """Letters and digits alone, without case: `New-York` -> `newyork`."""
    return "".join(c for c in text.casefold() if c.isalnum())


def sound(text: str) -> str:
    """Rough key for the sound of a text in Latin script, as English reads it.

    All vowels share one symbol, as do a voiced and its unvoiced consonant; silent letters are
    dropped. Letters of other scripts stay as they are. The key is meant to rank, not to transcribe.
    """
    key = spelling(text)
    for pattern, replacement in _SOUNDS:
        key = pattern.sub(replacement, key)
    return _DOUBLE.sub(r"\1", key)


class Hotwords:
    """Bias list that is searched by rough transcripts.

    Args:
        entries: words and phrases.
    """

    def __init__(self, entries: Iterable[str]):
        self.entries = list(entries)
        self._keys = {key: [key(e) for e in self.entries] for key in (spelling, sound)}
        self._words = max((len(e.split()) for e in self.entries), default=0)

    def near(self, heard: str, most: int, least: float) -> list[str]:
        """Entries that are near to some stretch of words, the nearest first.

        A stretch has up to one word more than the longest entry, since a recogniser splits words
        that it does not know. Likeness is 1 - edit distance / longer length, averaged over
        spelling and sound, as short keys of sounds alone may be alike by chance.

        Args:
            heard: the rough transcript.
            most: maximum number of entries.
            least: minimum likeness of an entry, 0 to 1.
        """
        words = heard.split()
        stretches = sorted(
            {
                stretch
                for length in range(1, self._words + 2)
                for start in range(len(words) - length + 1)
                if spelling(stretch := " ".join(words[start : start + length]))
            }
        )
        if not stretches or not self.entries:
            return []
        tables = [
            process.cdist(
                keys,
                [key(stretch) for stretch in stretches],
                scorer=Levenshtein.normalized_similarity,
                score_cutoff=max(0.0, 2 * least - 1),  # below it no mean reaches `least`
                dtype=np.float32,
            )
            for key, keys in self._keys.items()
        ]
        return best(self.entries, (sum(tables) / len(tables)).max(axis=1), most, least)


class SpelledHotwords:
    """Bias list in the symbols of a CTC head, searched by the head's most likely symbols.

    Args:
        symbols: CTC symbols by entry; entries without any are never near.
    """

    def __init__(self, symbols: Mapping[str, Sequence[int]]):
        self.entries = [entry for entry, ids in symbols.items() if ids]
        self._keys = [_characters(symbols[entry]) for entry in self.entries]

    def near(self, heard: Sequence[int], most: int, least: float) -> list[str]:
        """Entries that are near to some stretch of symbols, the nearest first.

        Likeness is rapidfuzz's `partial_ratio`: that of the best stretch of the entry's length.

        Args:
            heard: the head's most likely symbols.
            most: maximum number of entries.
            least: minimum likeness of an entry, 0 to 1.
        """
        if not heard or not self.entries:
            return []
        row = process.cdist([_characters(heard)], self._keys, scorer=fuzz.partial_ratio)[0] / 100
        return best(self.entries, row, most, least)


def best(entries: Sequence[str], likeness: np.ndarray, most: int, least: float) -> list[str]:
    """Entries with the highest likeness; equal ones are ordered by name.

    Args:
        entries: the entries.
        likeness: likeness of each entry, 0 to 1.
        most: maximum number of entries.
        least: minimum likeness of an entry.
    """
    wanted = [int(i) for i in np.flatnonzero(likeness >= least)]
    wanted.sort(key=lambda i: (-float(likeness[i]), entries[i]))
    return [entries[i] for i in wanted[:most]]


def _characters(ids: Sequence[int]) -> str:
    return "".join(chr(0x4E00 + i) for i in ids)  # rapidfuzz is fast on strings
