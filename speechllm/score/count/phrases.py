"""Search for the words and phrases of a list in a text: from the left, the longest first."""

from collections.abc import Iterable, Iterator, Sequence

Words = tuple[str, ...]


class Phrases:
    """List of phrases that is searched quickly, however long it is.

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
        """Yield (start, stop) of each phrase in `words`; none overlaps another.

        A None among the words is a gap; no phrase goes over it.
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
