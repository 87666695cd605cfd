"""Which utterances to have spoken, where only a few can be: those with the most unheard words."""

import heapq
from collections import Counter
from collections.abc import Collection, Mapping


def by_coverage(text: Mapping[str, str], known: Collection[str]) -> list[str]:
    """Order utterances so that any first part of them covers much of what is new in the text.

    Greedy maximum coverage (Nemhauser, Wolsey and Fisher 1978): the next one has the most to gain
    for each of its words. A new word gains as much as it is often said in all of the text; once
    covered, it gains nothing more.

    Args:
        text: transcript by utterance id.
        known: words that are no gain, such as those of the source.

    Returns:
        All ids; those without a gain come last, in the order of the text.
    """
    often = Counter(word for words in text.values() for word in words.split())
    words = {utt: said.split() for utt, said in text.items()}
    covered = set(known)

    def gain(utt: str) -> float:
        new = set(words[utt]) - covered
        return sum(often[word] for word in new) / max(1, len(words[utt]))

    # Gains only fall, so the best of the old ones that is still as high is the best (lazy greedy).
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
