"""Batched beam search whose hypotheses do not depend on the batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
)

from speechllm.data.collate import Batch
from speechllm.decode.config import DecodeConfig
from speechllm.decode.prompts import read_prompts
from speechllm.model.precision import autocast
from speechllm.model.speech_llm import SpeechLLM


@dataclass(frozen=True)
class Hypothesis:
    """What the model may have heard in one utterance.

    Attributes:
        utt_id: utterance id.
        text: the transcript.
        ids: tokens generated, without end-of-sequence.
        truncated: it reached its bound before it ended by itself.
        score: what the search gave it, knowledge sources included: a log-probability in nats,
            summed over its tokens and, unless truncated, its end. The last bits of it depend on
            the batch, so it is no part of comparisons.
    """

    utt_id: str
    text: str
    ids: tuple[int, ...]
    truncated: bool
    score: float = field(compare=False, default=0.0)

    @property
    def tokens(self) -> int:
        return len(self.ids)

    @property
    def length(self) -> int:
        """Positions that the search divided its score by: the tokens and the end."""
        return len(self.ids) + 1


class LogProbs(LogitsProcessor):
    """Makes logits, which greedy search hands out, what beam search does: log-probabilities."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return scores.float().log_softmax(-1)


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


class Scores(LogitsProcessor):
    """Adds up what the search gives every prefix; the last processor, so that it sees all.

    transformers returns such scores only along with those of all tokens at every step.

    Args:
        ends: tokens after which a hypothesis is over.
        beam: rows of each utterance.
    """

    def __init__(self, ends: Sequence[int], beam: int):
        self.ends, self.beam = list(ends), beam
        self._reached: dict[tuple[int, bytes], float] = {}
        self._ended: dict[tuple[int, bytes], list[float]] = {}
        self._last: tuple[dict[tuple[int, bytes], int], Tensor] | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        ids = input_ids.cpu().numpy()
        keys = [(row // self.beam, prefix.tobytes()) for row, prefix in enumerate(ids)]
        if self._last is None:
            reached = dict.fromkeys(keys, 0.0)
        else:
            rows, last = self._last
            before = [
                (row // self.beam, prefix.tobytes()) for row, prefix in enumerate(ids[:, :-1])
            ]
            steps = last[[rows[key] for key in before], input_ids[:, -1]].tolist()
            reached = {
                key: self._reached[old] + step
                for key, old, step in zip(keys, before, steps, strict=True)
            }
        ends = scores[:, self.ends].tolist()
        for key, end in zip(keys, ends, strict=True):
            self._ended[key] = [reached[key] + score for score in end]
        self._reached = reached
        self._last = ({key: row for row, key in enumerate(keys)}, scores)
        return scores

    def of(self, utterance: int, ids: Sequence[int], end: int) -> float:
        """Score of a hypothesis that ended with the token `end`."""
        key = (utterance, np.array(ids, dtype=np.int64).tobytes())
        return self._ended[key][self.ends.index(end)]


def token_bound(seconds: float, config: DecodeConfig) -> int:
    """Most tokens that an utterance of so many seconds may have."""
    return max(config.min_tokens, round(seconds * config.max_tokens_per_second))


@torch.inference_mode()
def search(
    model: SpeechLLM,
    batch: Batch,
    seconds: Sequence[float],
    config: DecodeConfig,
    sources: Sequence[LogitsProcessor] = (),
) -> list[list[Hypothesis]]:
    """Decode one batch.

    Args:
        model: in eval mode.
        batch: collated without transcripts.
        seconds: duration of each utterance, which bounds its hypothesis.
        config: beam and penalties; a beam of 1 is greedy.
        sources: further knowledge. Each is given the generated ids alone, [B x beam, T], the
            rows of an utterance side by side, and log-probabilities [B x beam, V], and returns
            the latter with its own added. They run in their order.

    Returns:
        For each row, in the batch's order, up to `config.nbest` hypotheses, best first. The best
        is the one with the highest score / length ** length_penalty.
    """
    bounds = torch.tensor([token_bound(s, config) for s in seconds], device=model.device)
    eos = model.prompt.eos
    ends = [eos, *model.prompt.stops]
    scores = Scores(ends, config.beam)
    processors = [*sources, EndAt(bounds, eos, config.beam), scores]
    if config.beam == 1:
        processors.insert(0, LogProbs())
    # Not by GenerationConfig: transformers 5.23 would then let as many generated tokens repeat as
    # the row has pads, as if the prompt were among them.
    if config.no_repeat_ngram:
        processors.insert(0, NoRepeatNGramLogitsProcessor(config.no_repeat_ngram))
    if config.repetition_penalty != 1.0:
        processors.insert(0, RepetitionPenaltyLogitsProcessor(config.repetition_penalty))
    with autocast(config.precision, str(model.device)):
        filled = model.fill(batch)
        longest = int(bounds.max()) + 1
        sequences = model.llm.generate(
            inputs_embeds=filled.embeddings,
            attention_mask=filled.attention_mask,
            past_key_values=read_prompts(model.llm, filled, config.beam, longest),
            generation_config=GenerationConfig(
                num_beams=config.beam,
                num_return_sequences=config.nbest,
                do_sample=False,
                max_new_tokens=longest,
                length_penalty=config.length_penalty,
                eos_token_id=ends,
                pad_token_id=model.prompt.pad,
            ),
            logits_processor=LogitsProcessorList(processors),
        )
    rows = sequences.view(len(batch.examples), config.nbest, -1).tolist()
    nbest: list[list[Hypothesis]] = []
    for row, (example, bound) in enumerate(zip(batch.examples, bounds.tolist(), strict=True)):
        found: dict[tuple[int, ...], Hypothesis] = {}
        for sequence in rows[row]:
            length = next(place for place, token in enumerate(sequence) if token in ends)
            ids = tuple(sequence[:length])
            text = " ".join(model.tokenizer.decode(ids, skip_special_tokens=True).split())
            score = scores.of(row, ids, sequence[length])
            # A beam that has too few hypotheses is filled up with copies and with nothing at all.
            if not found or (ids not in found and score > -torch.inf):
                found[ids] = Hypothesis(example.utt_id, text, ids, length >= bound, score)
        nbest.append(list(found.values()))
    return nbest
