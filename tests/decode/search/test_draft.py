"""A draft makes greedy search no other: the same tokens, scores and ends, whatever it says."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from speechllm.config import CtcConfig
from speechllm.decode.config import DecodeConfig
from speechllm.decode.hypothesis import Hypothesis
from speechllm.decode.search import search as searching
from speechllm.decode.search.draft import MOST, Draft, can_check
from speechllm.decode.search.search import draft_of
from speechllm.model.llm import base_of
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import collate
from tests.decode.conftest import sharpened, tune
from tests.decode.search.test_search import Add, decode, examples
from tests.helpers.architectures import LLMS
from tests.helpers.tiny import make_encoder


@pytest.fixture(scope="module", params=["qwen3", "smollm2", "smollm2 with LoRA"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    name, _, lora = request.param.partition(" with ")
    work = tmp_path_factory.mktemp(name)
    LLMS[name](work / "llm")
    model = sharpened(make_encoder(work / "encoder"), work / "llm")
    if lora:
        tune(model, "q_proj", "v_proj")
    return model.eval()


def every_third_wrong(ids: list[int]) -> list[int]:
    return [token + 1 if place % 3 == 2 else token for place, token in enumerate(ids)]


END = -7  # stands for the token that ends a hypothesis
CHANGES: dict[str, Callable[[list[int]], list[int]]] = {
    "right": lambda ids: ids,
    "nothing": lambda ids: [],
    "an end within": lambda ids: [*ids, END, *ids],
    "too long": lambda ids: ids * 2,
    "a beginning": lambda ids: ids[: len(ids) // 2],
    "wrong here and there": every_third_wrong,
    "a token too many": lambda ids: [*ids[:2], 7, *ids[2:]],
    "a token left out": lambda ids: ids[:2] + ids[3:],
    "all wrong": lambda ids: [token + 1 for token in ids],
}


@pytest.fixture(scope="module")
def plain(model) -> list[Hypothesis]:
    """What greedy search finds where some token ends the longest hypothesis."""
    *_, longest = sorted(decode(model, examples(), 1), key=lambda h: h.tokens)
    stop = next(t for t in longest.ids[4:] if t not in longest.ids[:4])
    model.prompt = replace(model.prompt, stops=(stop,))
    found = decode(model, examples(), 1)
    assert any(h.truncated for h in found) and not all(h.truncated for h in found)
    assert len({h.ids for h in found}) == len(found)
    return found


@pytest.mark.parametrize("change", CHANGES)
def test_the_hypotheses_are_those_of_greedy_search(
    model, plain: list[Hypothesis], change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    base = base_of(model.llm)
    hook = base.register_forward_pre_hook(lambda *_: passes.append(1))
    for example, wanted in zip(examples(), plain, strict=True):
        ids = [model.prompt.stops[0] if i == END else i for i in CHANGES[change](list(wanted.ids))]
        draft = Draft(ids, model.prompt.eos, lambda token: token % 2)
        monkeypatch.setattr(searching, "draft_of", lambda *_, draft=draft: draft)
        passes.clear()
        [found] = decode(model, [example], 1)
        assert found == wanted
        assert found.score == pytest.approx(wanted.score, abs=2e-3)
        assert len(passes) <= wanted.tokens + 1
        if change == "right":
            assert len(passes) == -(-(wanted.tokens + (not wanted.truncated)) // MOST)
    hook.remove()


def test_only_a_plain_greedy_search_of_one_utterance_has_a_draft(model: SpeechLLM) -> None:
    length = model.projector.output_length
    one, two = (collate(examples()[:n], model.prompt, length, with_target=False) for n in (1, 2))
    greedy = DecodeConfig(beam=1)
    with_ctc = model.config.projector.model_copy(update={"ctc": CtcConfig()})
    model.config = model.config.model_copy(update={"projector": with_ctc})
    model.snap = lambda batch: [" he said so"]
    wanted = model.tokenizer("he said so", add_special_tokens=False).input_ids
    assert draft_of(model, one, greedy, []).ids == wanted
    assert draft_of(model, two, greedy, []) is None
    assert draft_of(model, one, greedy, [Add(5, 1.0)]) is None
    for change in ({"beam": 2}, {"no_repeat_ngram": 3}, {"repetition_penalty": 1.2}):
        assert draft_of(model, one, DecodeConfig(**{"beam": 1, **change}), []) is None, change
    assert draft_of(model, one, DecodeConfig(beam=1, precision="bf16"), []) is None


def test_an_answer_may_be_a_row_of_no_token(model: SpeechLLM) -> None:
    one = collate(examples()[:1], model.prompt, model.projector.output_length, with_target=False)
    with_ctc = model.config.projector.model_copy(update={"ctc": CtcConfig()})
    model.config = model.config.model_copy(update={"projector": with_ctc})
    model.snap = lambda batch: [" he said so"]
    draft = draft_of(model, one, DecodeConfig(beam=1), [])
    before = list(draft.ids)
    draft.follow(1, [len(model.tokenizer) + 5])
    assert draft.rest(99) == [*before[1:], model.prompt.eos]


def test_where_a_draft_goes_on() -> None:
    draft = Draft([10, 11, 12, 13, 14], end=2, begins=lambda token: True)
    assert draft.rest(9) == [10, 11, 12, 13, 14, 2] and draft.rest(2) == [10, 11]
    draft.follow(1, [99])  # in place of 11
    assert draft.rest(9) == [12, 13, 14, 2]
    draft.follow(0, [13])  # 12 was too many
    assert draft.rest(9) == [14, 2]
    draft.follow(1, [13])  # the end was too early: it says 13 again
    assert draft.rest(9) == [14, 2]
    draft.follow(1, [55])
    assert draft.rest(9) == [2]


def test_later_answers_stand_in_for_the_draft() -> None:
    draft = Draft([10, 11, 12, 13, 14], end=2, begins=lambda token: True)
    draft.follow(2, [])  # both that were tried were right
    assert draft.rest(9) == [12, 13, 14, 2]
    draft.follow(0, [22, 23, 24, 2])
    assert draft.rest(9) == [13, 24, 2]


def test_another_word_takes_the_place_of_a_whole_one() -> None:
    ids = [10, 111, 112, 13, 14]  # 111 and 112 go on with 10's word

    def behind(right: int, instead: int) -> list[int]:
        draft = Draft(ids, end=2, begins=lambda token: token < 100)
        draft.follow(right, [instead])
        return draft.rest(9)

    assert behind(0, 20) == [13, 14, 2]
    assert behind(1, 120) == [13, 14, 2]
    assert behind(2, 20) == [13, 14, 2]
    assert behind(3, 120) == [13, 14, 2]  # the first word goes on
    assert behind(3, 20) == [14, 2]


def test_a_sliding_window_is_no_place_for_drafts(tmp_path) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "vocab_size": 9}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    assert can_check(MistralForCausalLM(MistralConfig(**sizes, **heads, sliding_window=None)))
    assert not can_check(MistralForCausalLM(MistralConfig(**sizes, **heads, sliding_window=4)))
