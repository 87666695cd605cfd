"""Batched search whose hypotheses do not depend on the batch."""

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
)

from speechllm.decode.config import DecodeConfig
from speechllm.decode.hypothesis import Hypothesis
from speechllm.decode.requirements import reads_transcripts
from speechllm.decode.scorers.ngram_scorer import BLANKS
from speechllm.decode.scorers.scorer import Scorer
from speechllm.decode.search.beam import BeamSearch, Knowledge
from speechllm.decode.search.draft import Draft, can_check, write
from speechllm.decode.search.reader import Reader, quick_attention
from speechllm.model.compute.precision import autocast
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Batch


def token_bound(seconds: float, config: DecodeConfig) -> int:
    """Most tokens of a hypothesis, by the duration of the utterance."""
    return max(config.min_tokens, round(seconds * config.max_tokens_per_second))


@torch.inference_mode()
def search(
    model: SpeechLLM,
    batch: Batch,
    seconds: Sequence[float],
    config: DecodeConfig,
    sources: Sequence[Scorer] = (),
) -> list[list[Hypothesis]]:
    """Decode one batch.

    Args:
        model: in eval mode.
        batch: collated without transcripts.
        seconds: duration of each utterance, which bounds its hypothesis.
        config: beam and penalties; a beam of 1 is greedy.
        sources: scorers; each gets the scores that those before it have returned.

    Returns:
        For each row, in the batch's order, up to `config.nbest` hypotheses, best first. The best
        is the one with the highest score / length ** length_penalty.
    """
    bounds = [token_bound(s, config) for s in seconds]
    ends = [model.prompt.eos, *model.prompt.stops]
    # A kind of attention that the config names is used in the search, too.
    attention = (
        quick_attention(model.llm) if model.config.llm_attention == "auto" else nullcontext()
    )
    with autocast(config.precision, str(model.device)), attention:
        filled = model.fill(batch)
        draft = draft_of(model, batch, config, sources)
        if draft is not None:
            prompt = filled.embeddings[filled.attention_mask.bool()]
            beams = [[write(model.llm, prompt, draft, bounds[0], ends)]]
        else:
            reader = Reader(model.llm, filled, config.beam, room=max(bounds))
            knowledge = _knowledge(config, sources)
            beams = BeamSearch(
                reader, bounds, ends, config.beam, config.length_penalty, knowledge
            ).run()
    nbest: list[list[Hypothesis]] = []
    for example, bound, ended in zip(batch.examples, bounds, beams, strict=True):
        found: dict[tuple[int, ...], Hypothesis] = {}
        for score, ids in ended:  # the same ids may come twice, ended by different tokens
            text = " ".join(model.tokenizer.decode(ids, skip_special_tokens=True).split())
            hypothesis = Hypothesis(example.utt_id, text, ids, len(ids) >= bound, score)
            found.setdefault(ids, hypothesis)
        nbest.append(list(found.values())[: config.nbest])
    return nbest


def draft_of(
    model: SpeechLLM, batch: Batch, config: DecodeConfig, sources: Sequence[Scorer]
) -> Draft | None:
    """Draft of the hypothesis from CTC; None if the search cannot use one.

    A draft needs a greedy search by the LLM alone, of one utterance (in a batch, a pass over drafts
    costs what it saves), in float32: in half precision, a pass over many tokens rounds otherwise
    than one over a single token.

    Args:
        model: in eval mode.
        batch: collated without transcripts.
        config: of the decoding.
        sources: scorers of the search; with any there is no draft.
    """
    plain = config.beam == 1 and not config.no_repeat_ngram and config.repetition_penalty == 1.0
    single = config.precision == "fp32" and model.llm.dtype == torch.float32
    alone = len(batch.examples) == 1 and not sources
    if not (plain and single and alone and reads_transcripts(model.config, model.task)):
        return None
    if not can_check(model.llm):
        return None
    ends = {model.prompt.eos, *model.prompt.stops}
    read = model.tokenizer(model.snap(batch)[0].strip(), add_special_tokens=False).input_ids

    def begins(token: int) -> bool:
        written = model.tokenizer.convert_ids_to_tokens(token)
        return isinstance(written, str) and written.startswith(BLANKS)  # None: a row of no token

    return Draft([token for token in read if token not in ends], model.prompt.eos, begins)


def _knowledge(config: DecodeConfig, sources: Sequence[Scorer]) -> Knowledge:
    """Function that makes scores from logits: penalties first, then scorers."""
    penalties = LogitsProcessorList()
    if config.repetition_penalty != 1.0:
        penalties.append(RepetitionPenaltyLogitsProcessor(config.repetition_penalty))
    if config.no_repeat_ngram:
        penalties.append(NoRepeatNGramLogitsProcessor(config.no_repeat_ngram))

    def known(ids: Tensor, logits: Tensor, utterance_of: Sequence[int]) -> Tensor:
        scores = logits.float()
        if config.beam == 1:  # as in transformers' greedy search
            scores = penalties(ids, scores).log_softmax(-1)
        else:
            scores = penalties(ids, scores.log_softmax(-1))
        for source in sources:
            scores = source(ids, scores, utterance_of)
        return scores

    return known
