"""How sure a model is of transcripts."""

import torch
from torch.nn import functional

from speechllm.data.collate import IGNORED, Batch
from speechllm.model.speech_llm import SpeechLLM


@torch.inference_mode()
def mean_log_probs(model: SpeechLLM, batch: Batch) -> list[float]:
    """Score each row's transcript by itself.

    Args:
        model: in eval mode.
        batch: collated with transcripts.

    Returns:
        For each row the mean log-probability (nats) of its tokens and end-of-sequence, each
        given the true tokens before it.
    """
    logits, wanted = model.label_logits(batch)
    nll = functional.cross_entropy(logits, wanted, reduction="none")
    counts = (batch.labels[:, 1:] != IGNORED).sum(1).tolist()
    return [-float(row.mean()) for row in nll.split(counts)]
