"""How sure a model is of transcripts: of their tokens, their words and the whole."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import IGNORED, Batch


@torch.inference_mode()
def token_log_probs(model: SpeechLLM, batch: Batch, temperature: float = 1.0) -> list[list[float]]:
    """Score each row's transcript by itself.

    Args:
        model: in eval mode.
        batch: collated with transcripts.
        temperature: what logits are divided by; above 1 a model that is too sure becomes less so.

    Returns:
        For each row the log-probability (nats) of each of its tokens, and of end-of-sequence at
        last, given the tokens before it.
    """
    logits, wanted = model.label_logits(batch)
    nll = functional.cross_entropy(logits / temperature, wanted, reduction="none")
    counts = (batch.labels[:, 1:] != IGNORED).sum(1).tolist()
    return [(-row).tolist() for row in nll.split(counts)]


def mean_log_probs(model: SpeechLLM, batch: Batch) -> list[float]:
    """For each row the mean of `token_log_probs`."""
    return [sum(row) / len(row) for row in token_log_probs(model, batch)]


def utterance_confidence(log_probs: Sequence[float]) -> float:
    """Geometric mean of the probabilities of the tokens and of end-of-sequence, 0 to 1."""
    return math.exp(sum(log_probs) / len(log_probs))


def word_confidences(
    log_probs: Sequence[float], places: Sequence[range], words: int
) -> list[float]:
    """For each word the product of the probabilities of its tokens, 0 to 1.

    That is how likely the model thinks the whole word, the words before it given.

    Args:
        log_probs: of the tokens, as `token_log_probs` gives them.
        places: of the tokens, as `words_of_tokens` gives them.
        words: their number.
    """
    sums = [0.0] * words
    for place, log_prob in zip(places, log_probs, strict=False):  # end-of-sequence has no place
        for word in place:
            sums[word] += log_prob
    return [math.exp(total) for total in sums]


def words_of_tokens(tokenizer: Any, ids: Sequence[int]) -> list[range]:
    """For each token the numbers of the words that it is part of; mostly one.

    Words are those of `" ".join(text.split())`, which hypotheses are. A token before the first
    word is part of none; one that holds nothing but a space belongs to the word before it.
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
