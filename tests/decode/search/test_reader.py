"""What a search reads step by step is what an LLM reads in one go; texts are transformers' own."""

import json

import pytest
import torch
from transformers import GenerationConfig

from speechllm.decode.config import DecodeConfig
from speechllm.decode.search import reader as reading
from speechllm.decode.search.cache import BeamLayer
from speechllm.decode.search.reader import Reader, quick_attention
from speechllm.decode.search.search import search
from speechllm.model.llm import base_of
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import collate
from tests.decode.conftest import sharpened, tune
from tests.decode.search.test_search import Add, decode, examples
from tests.helpers.architectures import LLMS
from tests.helpers.tiny import make_encoder

KINDS = [*sorted(LLMS.keys() - {"vicuna"}), "smollm2 with LoRA", "mistral with a short window"]


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SpeechLLM:
    name, _, extra = request.param.partition(" with ")
    work = tmp_path_factory.mktemp(name)
    LLMS[name](work / "llm")
    if "window" in extra:
        config = json.loads((work / "llm/config.json").read_text())
        (work / "llm/config.json").write_text(json.dumps(config | {"sliding_window": 9}))
    model = sharpened(make_encoder(work / "encoder"), work / "llm")
    if extra == "LoRA":
        tune(model, "q_proj", "v_proj")
    return model.eval()


def prompts_of(model: SpeechLLM):
    rows = examples()
    batch = collate(rows, model.prompt, model.projector.output_length, with_target=False)
    return batch, model.fill(batch)


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("settings", [{}, {"length_penalty": -1.0}, {"no_repeat_ngram": 2}])
def test_hypotheses_are_those_of_generate(model: SpeechLLM, beam: int, settings: dict) -> None:
    """Whose bound is that of the batch, so that all have the same here."""
    batch, filled = prompts_of(model)
    config = DecodeConfig(beam=beam, nbest=beam, min_tokens=12, **settings)
    ends = [model.prompt.eos, *model.prompt.stops]
    with torch.inference_mode():
        found = search(model, batch, [0.1] * len(batch.examples), config)
        sequences = model.llm.generate(
            inputs_embeds=filled.embeddings,
            attention_mask=filled.attention_mask,
            generation_config=GenerationConfig(
                num_beams=beam,
                num_return_sequences=beam,
                do_sample=False,
                max_new_tokens=12,
                length_penalty=config.length_penalty,
                no_repeat_ngram_size=config.no_repeat_ngram,
                eos_token_id=ends,
                pad_token_id=model.prompt.pad,
            ),
        )
    for nbest, rows in zip(found, sequences.view(len(found), beam, -1).tolist(), strict=True):
        wanted = [tuple(t for t in row if t not in (*ends, model.prompt.pad)) for row in rows]
        assert [h.ids for h in nbest] == wanted[: len(nbest)]


@pytest.mark.parametrize("filling", [1, reading.FILLING])
@torch.inference_mode()
def test_rows_go_on_from_others_and_leave(
    model: SpeechLLM, filling: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step's logits are those of a pass over all that the row has read.

    Whether the prompts are read one by one or together.
    """
    monkeypatch.setattr(reading, "FILLING", filling)
    _, filled = prompts_of(model)
    reader = Reader(model.llm, filled, beam=2, room=4)
    written = [[], [], [], [], [], []]
    steps = [  # rows of the step before, their utterances, tokens
        ([0, 0, 2, 2, 5, 5], [0, 0, 2, 2, 5, 5], [5, 6, 7, 8, 9, 10]),
        ([1, 0, 4, 5, 3, 3], [0, 0, 5, 5, 2, 2], [11, 12, 13, 14, 15, 16]),
        ([3, 2, 4], [5, 5, 2], [5, 6, 7]),
        ([0, 0, 2, 2], [5, 5, 2, 2], [8, 9, 10, 11]),
    ]
    embed = model.llm.get_input_embeddings()
    with quick_attention(model.llm):
        for rows, heard, tokens in steps:
            logits = reader.go_on(rows, heard, tokens)
            written = [[*written[row], token] for row, token in zip(rows, tokens, strict=True)]
            for one, ids, found in zip(heard, written, logits, strict=True):
                there = filled.attention_mask[one].bool()
                whole = torch.cat([filled.embeddings[one, there], embed(torch.tensor(ids))])
                wanted = model.llm(inputs_embeds=whole[None]).logits[0, -1]
                assert torch.allclose(found, wanted, atol=1e-3), (rows, ids)


def test_who_attends_eagerly_does_so_again(model: SpeechLLM) -> None:
    config = model.llm.config.get_text_config(decoder=True)
    before = config._attn_implementation
    with quick_attention(model.llm):
        assert config._attn_implementation in ("sdpa", before)
    assert config._attn_implementation == before


@pytest.mark.parametrize("asked", ["auto", "eager"])
def test_attention_that_is_asked_for_is_used(
    model: SpeechLLM, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "config", model.config.model_copy(update={"llm_attention": asked}))
    base = base_of(model.llm)
    config = base.config.get_text_config(decoder=True)
    monkeypatch.setattr(config, "_attn_implementation", "eager")
    seen = set()
    hook = base.register_forward_pre_hook(lambda *_: seen.add(config._attn_implementation))
    decode(model, examples()[:2], 2)
    hook.remove()
    quick = asked == "auto" and base._supports_sdpa
    assert seen == {"sdpa" if quick else "eager"}


def test_what_is_done_is_not_read_any_more(model: SpeechLLM) -> None:
    """The bound of the longest utterance, and not of all, is how long rows stay."""
    rows = examples()
    seen = Add(model.prompt.eos, -1e4)
    batch = collate(rows, model.prompt, model.projector.output_length, with_target=False)
    bounds = [3, 5, 4, 3, 8, 3]
    config = DecodeConfig(beam=2, min_tokens=1, max_tokens_per_second=1)
    search(model, batch, bounds, config, [seen])
    assert [shape[0] for shape in seen.seen] == [6, 12, 12, 12, 6, 4, 2, 2, 2]


def test_there_is_room_for_so_many_tokens_alone() -> None:
    layer = BeamLayer(room=2)
    prompt = torch.arange(6.0).view(2, 1, 3, 1)  # two utterances of three positions
    layer.update(prompt, -prompt)
    layer.spread(torch.tensor([0, 0, 1, 1]), 4)
    token = torch.arange(10.0, 14.0).view(4, 1, 1, 1)
    layer.update(token, -token)
    layer.go_on(torch.tensor([3, 2]), torch.tensor([0, 1]), torch.tensor([0, 1]))
    keys, values = layer.update(token[:2] + 10, -token[:2] - 10)
    assert keys.squeeze().tolist() == [[3, 4, 5, 13, 20], [3, 4, 5, 12, 21]]
    assert torch.equal(values, -keys)
    assert layer.get_seq_length() == 5
    with pytest.raises(AssertionError, match="no room"):
        layer.update(token[:2], token[:2])
