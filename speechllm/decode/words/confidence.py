"""Confidence of transcripts: of their tokens, of their words and of the whole."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import IGNORED, Batch


@torch.inference_mode()
def token_log_probs(model: SpeechLLM, batch: Batch, temperature: float = 1.0) -> list[list[float]]:
    """Log-probabilities of the tokens of each row's transcript.

    Args:
        model: in eval mode.
        batch: collated with transcripts.
        temperature: divides the logits; above 1, an overconfident model becomes less so.

    Returns:
        For each row, the log-probability (nats) of each token, end-of-sequence last, given the
        tokens before it.
    """
    logits, wanted = model.label_logits(batch)
    nll = functional.cross_entropy(logits / temperature, wanted, reduction="none")
    counts = (batch.labels[:, 1:] != IGNORED).sum(1).tolist()
    return [(-row).tolist() for row in nll.split(counts)]


def mean_log_probs(model: SpeechLLM, batch: Batch) -> list[float]:
    """Mean of `token_log_probs` for each row."""
    return [sum(row) / len(row) for row in token_log_probs(model, batch)]


def utterance_confidence(log_probs: Sequence[float]) -> float:
    """Geometric mean of the probabilities of the tokens and of end-of-sequence, 0 to 1."""
    return math.exp(sum(log_probs) / len(log_probs))


def word_confidences(
    log_probs: Sequence[float], places: Sequence[range], words: int
) -> list[float]:
    """Confidence of each word, 0 to 1: the product of the probabilities of its tokens.

    That is the model's probability of the whole word, given the words before it.

    Args:
        log_probs: log-probabilities of the tokens (`token_log_probs`).
        places: words of each token (`words_of_tokens`).
        words: number of words.
    """
    sums = [0.0] * words
    for place, log_prob in zip(places, log_probs, strict=False):  # end-of-sequence has no word
        for word in place:
            sums[word] += log_prob
    return [math.exp(total) for total in sums]


def words_of_tokens(tokenizer: Any, ids: Sequence[int]) -> list[range]:
    """Indices of the words that each token is part of; mostly one.

    Words are those of the text split at white space, as hypotheses are. A token before the first
    word is part of none; a token of a space alone belongs to the word before it.
    """
    counts = [
        len(tokenizer.decode(ids[:end], skip_special_tokens=True).split())
        for end in range(1, len(ids) + 1)
    ]
    places = []
    before = 0
    for count in (min(count, counts[-1]) for count in counts):
        places.append(range(min(before, max(0, count - 1)), count))
        before = count
    return places
