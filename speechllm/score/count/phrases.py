"""Words and phrases of a list, found in a row of words: the longest first, from the left."""

from collections.abc import Iterable, Iterator, Sequence

Words = tuple[str, ...]


class Phrases:
    """A list to look up, however long it is.

    Args:
        phrases: each a tuple of words; empty ones are left out.
    """

    def __init__(self, phrases: Iterable[Words]):
        self._phrases = {phrase for phrase in phrases if phrase}
        lengths: dict[str, set[int]] = {}
        for phrase in self._phrases:
            lengths.setdefault(phrase[0], set()).add(len(phrase))
        self._lengths = {word: sorted(found, reverse=True) for word, found in lengths.items()}

    def find(self, words: Sequence[str | None]) -> Iterator[tuple[int, int]]:
        """Yield (start, stop) of each that stands in `words`; none overlaps another.

        None among the words is a gap that no phrase can hold.
        """
        start = 0
        while start < len(words):
            for length in self._lengths.get(words[start] or "", ()):
                stop = start + length
                if stop <= len(words) and tuple(words[start:stop]) in self._phrases:
                    yield start, stop
                    start = stop
                    break
            else:
                start += 1
