"""Choice of the utterances whose audio is used, if few can be: those with the most new words."""

import heapq
from collections import Counter
from collections.abc import Collection, Mapping


def by_coverage(text: Mapping[str, str], known: Collection[str]) -> list[str]:
    """Order utterances so that any first part of them covers much of what is new in the text.

    Greedy maximum coverage (Nemhauser, Wolsey and Fisher 1978): the next utterance is the one with
    the highest gain per word. The gain of a new word is its frequency in the whole text; a covered
    word has none.

    Args:
        text: transcript by utterance id.
        known: words without a gain, such as those of the source.

    Returns:
        All ids; those without a gain come last, in the order of the text.

    >>> by_coverage({"a": "rain rain", "b": "wheat rust", "c": "wheat"}, {"rain"})
    ['c', 'b', 'a']
    """
    often = Counter(word for words in text.values() for word in words.split())
    words = {utt: said.split() for utt, said in text.items()}
    covered = set(known)

    def gain(utt: str) -> float:
        new = set(words[utt]) - covered
        return sum(often[word] for word in new) / max(1, len(words[utt]))

    # Lazy greedy: gains only fall, so the top of the queue is the best if its gain is unchanged.
    queue = [(-gain(utt), place, utt) for place, utt in enumerate(text)]
    heapq.heapify(queue)
    order = []
    while queue:
        before, place, utt = heapq.heappop(queue)
        now = -gain(utt)
        if now > before:
            heapq.heappush(queue, (now, place, utt))
            continue
        order.append(utt)
        covered.update(words[utt])
    return order
