"""Batched beam search whose hypotheses do not depend on the batch."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from speechllm.config import DecodeConfig
from speechllm.data.collate import Batch
from speechllm.model.speech_llm import SpeechLLM


@dataclass(frozen=True)
class Hypothesis:
    """What the model heard in one utterance.

    Attributes:
        utt_id: utterance id.
        text: the transcript.
        tokens: tokens generated, without end-of-sequence.
        truncated: it reached its bound before it ended by itself.
    """

    utt_id: str
    text: str
    tokens: int
    truncated: bool


class EndAt(LogitsProcessor):
    """Ends every row at its own bound, whatever else is in the batch.

    Args:
        bounds: [B] most tokens of each utterance.
        eos: the token that ends a hypothesis.
        beam: rows of each utterance.
    """

    def __init__(self, bounds: Tensor, eos: int, beam: int):
        self.bounds = bounds.repeat_interleave(beam)
        self.eos = eos

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        ended = input_ids.shape[1] >= self.bounds
        forced = torch.full_like(scores, -torch.inf)
        forced[:, self.eos] = 0.0
        return torch.where(ended[:, None], forced, scores)


def token_bound(seconds: float, config: DecodeConfig) -> int:
    """Most tokens that an utterance of so many seconds may have."""
    return max(config.min_tokens, round(seconds * config.max_tokens_per_second))


@torch.inference_mode()
def search(
    model: SpeechLLM, batch: Batch, seconds: list[float], config: DecodeConfig
) -> list[Hypothesis]:
    """Decode one batch.

    Args:
        model: in eval mode.
        batch: collated without transcripts.
        seconds: duration of each utterance, which bounds its hypothesis.
        config: beam and penalties; a beam of 1 is greedy.

    Returns:
        One hypothesis for each row, in the batch's order.
    """
    bounds = torch.tensor([token_bound(s, config) for s in seconds], device=model.device)
    eos = model.prompt.eos
    ends = [eos, *model.prompt.stops]
    with torch.autocast(model.device.type, torch.bfloat16, config.precision == "bf16"):
        sequences = model.llm.generate(
            inputs_embeds=model.embed(batch),
            attention_mask=batch.attention_mask,
            generation_config=GenerationConfig(
                num_beams=config.beam,
                do_sample=False,
                max_new_tokens=int(bounds.max()) + 1,
                length_penalty=config.length_penalty,
                repetition_penalty=config.repetition_penalty,
                eos_token_id=ends,
                pad_token_id=model.prompt.pad,
            ),
            logits_processor=LogitsProcessorList([EndAt(bounds, eos, config.beam)]),
        )
    hypotheses = []
    for example, ids, bound in zip(
        batch.examples, sequences.tolist(), bounds.tolist(), strict=True
    ):
        length = next((place for place, token in enumerate(ids) if token in ends), len(ids))
        text = model.tokenizer.decode(ids[:length], skip_special_tokens=True)
        hypotheses.append(
            Hypothesis(example.utt_id, " ".join(text.split()), length, truncated=length >= bound)
        )
    return hypotheses
