"""Batching must leave every hypothesis as it is when the utterance is decoded alone."""

import numpy as np
import pytest
import torch

from speechllm.config import DecodeConfig, ModelConfig, ProjectorConfig
from speechllm.data.collate import Example, collate
from speechllm.decode.search import Hypothesis, search, token_bound
from speechllm.model.speech_llm import SpeechLLM
from tests.tiny import make_encoder, make_llm


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SpeechLLM:
    """A random model whose LM head is sharpened, so that hypotheses are long and varied."""
    work = tmp_path_factory.mktemp("model")
    config = ModelConfig(
        encoder=str(make_encoder(work / "encoder")),
        llm=str(make_llm(work / "llm")),
        projector=ProjectorConfig(downsampling=2, hidden=16),
    )
    torch.manual_seed(0)
    model = SpeechLLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


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
    return search(model, batch, seconds, DecodeConfig(beam=beam, max_tokens_per_second=8))


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
            inputs_embeds=model.embed(batch), attention_mask=batch.attention_mask
        ).logits
    first = model.tokenizer.decode(logits[0, -1].argmax())
    assert decode(model, [example], 1)[0].text.startswith(first.strip())
