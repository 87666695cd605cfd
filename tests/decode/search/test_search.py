"""Batching must leave every hypothesis as it is when the utterance is decoded alone."""

import numpy as np
import pytest
import torch

from speechllm.decode.config import DecodeConfig
from speechllm.decode.hypothesis import Hypothesis
from speechllm.decode.scorers.scorer import Scorer
from speechllm.decode.search.search import search, token_bound
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Example, collate


def examples() -> list[Example]:
    rng = np.random.default_rng(0)
    lengths = (7, 50, 23, 31, 80, 12)
    return [
        Example(f"utt{i}", "audio", rng.normal(0, 3, (n, 16)).astype(np.float16))
        for i, n in enumerate(lengths)
    ]


def decode(model: SpeechLLM, rows: list[Example], beam: int) -> list[Hypothesis]:
    batch = collate(rows, model.prompt, model.projector.output_length, with_target=False)
    seconds = [len(e.slot) / 25 for e in rows]
    config = DecodeConfig(beam=beam, max_tokens_per_second=8)
    return [best for best, *_ in search(model, batch, seconds, config)]


class Add(Scorer):
    """Knowledge that a token is likely, or not; notes what it is shown."""

    def __init__(self, token: int, amount: float):
        self.token, self.amount, self.seen = token, amount, []

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor, heard) -> torch.Tensor:
        assert torch.allclose(scores.exp().sum(-1), torch.ones(len(scores)), atol=1e-3)
        self.seen.append((*ids.shape, *heard))
        amounts = torch.zeros_like(scores)
        amounts[:, self.token] = self.amount
        return scores + amounts


@pytest.mark.parametrize("beam", [1, 4])
def test_batch_size_never_changes_a_hypothesis(model: SpeechLLM, beam: int) -> None:
    alone = [decode(model, [example], beam)[0] for example in examples()]
    together = decode(model, examples(), beam)
    pairs = decode(model, examples()[:3], beam) + decode(model, examples()[3:], beam)
    assert together == alone
    assert pairs == alone
    assert len({h.text for h in alone}) > 3, "the test needs hypotheses that differ"


def test_a_hypothesis_is_bounded_by_its_own_duration(model: SpeechLLM) -> None:
    config = DecodeConfig(max_tokens_per_second=8)
    for hypothesis, example in zip(decode(model, examples(), 4), examples(), strict=True):
        bound = token_bound(len(example.slot) / 25, config)
        assert hypothesis.tokens <= bound
        assert hypothesis.truncated == (hypothesis.tokens == bound)


def test_greedy_and_beam_one_take_the_most_likely_token(model: SpeechLLM) -> None:
    """The first token of a greedy hypothesis is the argmax of a plain forward pass."""
    example = examples()[2]
    batch = collate([example], model.prompt, model.projector.output_length, with_target=False)
    with torch.no_grad():
        logits = model.llm(
            inputs_embeds=model.fill(batch).embeddings, attention_mask=batch.attention_mask
        ).logits
    first = model.tokenizer.decode(logits[0, -1].argmax())
    assert decode(model, [example], 1)[0].text.startswith(first.strip())


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("push", [0.0, 9.0])  # alone, the random model never ends
def test_a_score_is_the_log_probability_of_tokens_and_end(
    model: SpeechLLM, beam: int, push: float
) -> None:
    """Checked by teacher forcing, hypothesis by hypothesis."""
    rows, length = examples(), model.projector.output_length
    batch = collate(rows, model.prompt, length, with_target=False)
    config = DecodeConfig(beam=beam, nbest=beam, max_tokens_per_second=8)
    end = Add(model.prompt.eos, push)
    found = search(model, batch, [len(e.slot) / 25 for e in rows], config, [end])
    assert {h.truncated for nbest in found for h in nbest} == {not push}
    for row, nbest in zip(rows, found, strict=True):
        for hypothesis in nbest:
            example = Example("u", "audio", row.slot, hypothesis.ids)
            with torch.no_grad():
                logits, wanted = model.label_logits(collate([example], model.prompt, length))
            steps = -torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
            wanted_score = steps[:-1].sum() if hypothesis.truncated else steps.sum() + push
            assert hypothesis.score == pytest.approx(float(wanted_score), abs=1e-3)


def test_nbest_lists_are_best_first_without_doubles_and_alike_in_any_batch(
    model: SpeechLLM,
) -> None:
    rows = examples()
    config = DecodeConfig(beam=4, nbest=4, max_tokens_per_second=8)

    def lists(part: list[Example]) -> list[list[Hypothesis]]:
        batch = collate(part, model.prompt, model.projector.output_length, with_target=False)
        return search(model, batch, [len(e.slot) / 25 for e in part], config)

    together = lists(rows)
    assert together == [lists([row])[0] for row in rows]
    assert [nbest[0] for nbest in together] == decode(model, rows, 4)
    for nbest in together:
        means = [h.score / h.length for h in nbest]
        assert means == sorted(means, reverse=True) and len({h.ids for h in nbest}) == len(nbest)
    assert max(len(nbest) for nbest in together) == 4


@pytest.mark.parametrize("beam", [1, 4])
def test_sources_are_given_generated_ids_and_log_probabilities(model: SpeechLLM, beam: int) -> None:
    example = examples()[1]
    batch = collate([example], model.prompt, model.projector.output_length, with_target=False)
    config = DecodeConfig(beam=beam, max_tokens_per_second=8)
    token = search(model, batch, [2.0], config)[0][0].ids[0]
    forbid = Add(token, -1e4)
    assert token not in search(model, batch, [2.0], config, [forbid])[0][0].ids
    assert forbid.seen[:2] == [(1, 0, 0), (beam, 1, *[0] * beam)]
