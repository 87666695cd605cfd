"""Attention of the LLM to speech, for each token of a hypothesis."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import IGNORED, Example, collate


@torch.inference_mode()
def speech_attention(model: SpeechLLM, example: Example) -> np.ndarray:
    """Attention from the positions that predict tokens to the positions of speech.

    It is the mean over all heads and layers: the heads that follow the speech differ from LLM to
    LLM, and are unknown for one that was trained here.

    Args:
        model: in eval mode.
        example: with speech, and the hypothesis as its target.

    Returns:
        [N, P] for N tokens and P positions of speech.
    """
    batch = collate([example], model.prompt, model.projector.output_length).to(model.device)
    filled = model.fill(batch)
    predicts = (filled.labels[0, 1:] != IGNORED).nonzero()[:-1, 0]  # without end-of-sequence
    speech = filled.speech_mask[0].nonzero()[:, 0]
    with _eager(model):
        layers = model.llm(
            inputs_embeds=filled.embeddings,
            attention_mask=filled.attention_mask,
            output_attentions=True,
            logits_to_keep=1,
        ).attentions
    total = sum(layer[0].float().mean(0) for layer in layers if layer is not None)
    seen = total[predicts][:, speech] / len(layers)
    if filled.kept is not None:  # positions that were dropped get no attention
        everywhere = seen.new_zeros(len(seen), len(filled.kept))
        everywhere[:, filled.kept] = seen
        seen = everywhere
    return seen.cpu().numpy()


@contextmanager
def _eager(model: SpeechLLM) -> Iterator[None]:
    """Use eager attention inside the block, the only kind that returns its weights."""
    before = model.llm.config._attn_implementation
    if before == "eager":
        yield
        return
    model.llm.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.llm.set_attn_implementation(before)
