"""Times of the words of a hypothesis: by CTC forced alignment, or by the LLM's attention.

Arrays alone: no model in here. Times are in seconds from the beginning of the utterance.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

Times = list[tuple[float, float] | None]
"""Start and end of each word; None if unknown."""


def ctc_align(log_probs: np.ndarray, symbols: Sequence[int], blank: int) -> np.ndarray | None:
    """Most likely CTC path through given symbols (Viterbi).

    Args:
        log_probs: [T, V] log-posteriors.
        symbols: ids of the S symbols, without blanks.
        blank: id of the blank.

    Returns:
        [T]: for each frame the index (0 to S - 1) of its symbol, -1 for a blank; None where there
        are too few frames for the symbols (one each, and a blank between equal neighbours).
    """
    if not symbols:
        return np.full(len(log_probs), -1)
    states = np.full(2 * len(symbols) + 1, blank)
    states[1::2] = symbols
    emit = log_probs[:, states]  # [T, 2 S + 1]
    # A path may leave out a blank unless it parts two equal symbols.
    skips = np.zeros(len(states), bool)
    skips[3::2] = states[3::2] != states[1:-2:2]
    score = np.full(len(states), -np.inf)
    score[:2] = emit[0, :2]
    back = np.zeros(emit.shape, np.int64)
    for t in range(1, len(emit)):
        one = np.concatenate(([-np.inf], score[:-1]))
        two = np.where(skips, np.concatenate(([-np.inf, -np.inf], score[:-2])), -np.inf)
        choices = np.stack((score, one, two))
        back[t] = choices.argmax(0)
        score = choices.max(0) + emit[t]
    state = len(states) - 1 if score[-1] >= score[-2] else len(states) - 2
    if not np.isfinite(score[state]):
        return None
    path = np.empty(len(emit), np.int64)
    for t in range(len(emit) - 1, -1, -1):
        path[t] = state
        state -= back[t, state]
    return np.where(path % 2 == 1, path // 2, -1)


def ctc_word_times(
    log_probs: np.ndarray, words: Sequence[Sequence[int]], blank: int, seconds: float
) -> Times:
    """Times of words that are spelled in the symbols of a CTC head.

    A word lasts from the first frame of its first symbol to the last frame of its last one. CTC's
    symbols are short spikes, so ends come early. Words without symbols have no times.

    Args:
        log_probs: [T, V] log-posteriors of the utterance.
        words: symbols of each word.
        blank: id of the blank.
        seconds: duration of the utterance.
    """
    owner = [number for number, symbols in enumerate(words) for _ in symbols]
    path = ctc_align(log_probs, [s for symbols in words for s in symbols], blank)
    times: Times = [None] * len(words)
    if path is None:
        return times
    step = seconds / len(path)
    of_frame = np.array([-1 if symbol < 0 else owner[symbol] for symbol in path])
    for number in set(owner):
        frames = np.flatnonzero(of_frame == number)
        times[number] = (float(frames[0] * step), float((frames[-1] + 1) * step))
    return times


def monotonic_path(cost: np.ndarray) -> np.ndarray:
    """Cheapest monotonic path through costs [N, P], by dynamic time warping.

    Returns:
        [N, 2]: first and last column of each row.
    """
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(1, rows + 1):
        diagonal_or_up = np.minimum(total[i - 1, :-1], total[i - 1, 1:])
        for j in range(1, columns + 1):
            total[i, j] = cost[i - 1, j - 1] + min(diagonal_or_up[j - 1], total[i, j - 1])
    spans = np.zeros((rows, 2), np.int64)
    i, j = rows, columns
    spans[i - 1, 1] = j - 1
    while i > 0:
        spans[i - 1, 0] = j - 1
        diagonal, up, left = total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]
        if left < min(diagonal, up):
            j -= 1
            continue
        i, j = i - 1, j - 1 if diagonal <= up else j
        if i > 0:
            spans[i - 1, 1] = j - 1
    return spans


def attention_word_times(
    attention: np.ndarray, places: Sequence[range], words: int, seconds: float
) -> Times:
    """Times of words by the attention of their tokens to speech.

    The method is Whisper's. Each position's attention is standardised over the tokens, so that
    positions which all tokens attend to do not count. Then the monotonic path with the highest
    attention is taken.

    Args:
        attention: [N, P] of N tokens to P positions of speech, mean over layers and heads.
        places: words that each token is part of, by index.
        words: number of words.
        seconds: duration of the utterance.
    """
    times: Times = [None] * words
    if not len(attention) or not attention.shape[1]:
        return times
    spread = attention.std(0, keepdims=True)
    weights = (attention - attention.mean(0, keepdims=True)) / np.maximum(spread, 1e-10)
    spans = monotonic_path(-weights)
    step = seconds / attention.shape[1]
    for number in range(words):
        tokens = [token for token, place in enumerate(places) if number in place]
        if tokens:
            first, last = spans[tokens[0], 0], spans[tokens[-1], 1]
            times[number] = (float(first * step), float((last + 1) * step))
    return _parted(times)


def _parted(times: Times) -> Times:
    """Split the overlap of neighbouring words in the middle."""
    for number, (one, other) in enumerate(pairwise(times)):
        if one and other and other[0] < one[1]:
            middle = (other[0] + one[1]) / 2
            times[number], times[number + 1] = (one[0], middle), (middle, other[1])
    return times
