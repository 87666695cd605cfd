"""What the guard sees, and what it lets pass."""

import pytest

from speechllm.decode.guard import GuardConfig, flags_of, is_loop, prefers_retry, words_of

PROMPT = "Transcribe speech to text. Speech: ."


def flags(text: str, seconds: float = 3.0, truncated: bool = False) -> list[str]:
    return flags_of(text, seconds, truncated, PROMPT, GuardConfig())


@pytest.mark.parametrize(
    "text",
    [
        "no no no no no no no no",
        "the price of the price of the price of the price of the price of the price of",
        "a good beginning with many words and then and then and then and then and then and then",
        "hahahahahahahahahahahahahaha",
        "one two " * 20,
        "Stop. stop, STOP stop stop stop",
    ],
)
def test_loops_are_seen(text: str) -> None:
    assert flags(text) == ["loop"]


@pytest.mark.parametrize(
    "text",
    [
        "five five five five",
        "no no no i said no",
        "the cow and the horse and the sheep and the goat and the dog",
        "1111111111111111",
        "aaah that hurts",
        "mississippi",
    ],
)
def test_what_people_say_twice_is_no_loop(text: str) -> None:
    assert flags(text) == []


def test_the_published_ratio_alone_misses_a_loop_behind_a_good_beginning() -> None:
    words = words_of("we sell maize rye oats and then some " + "more and " * 7)
    assert len(words) < 7 * len(set(words))
    assert is_loop(words, GuardConfig())
    ratio_only = words_of("a b a a b b a a b a b b a a b b b a")  # no stretch comes six times
    assert is_loop(ratio_only, GuardConfig())


def test_refusals_empty_output_and_copied_prompts_are_seen() -> None:
    assert flags("I am an AI, so I cannot hear") == ["refusal"]
    assert flags("i am an aide to the farmer") == []
    assert flags("", 1.0) == ["empty"] and flags(" . ", 1.0) == ["empty"]
    assert flags("", 0.5) == []
    assert flags("transcribe speech to text") == ["prompt"]
    assert flags("please transcribe speech for me") == []
    assert flags("good", truncated=True) == ["truncated"]
    assert flags("no " * 9 + "transcribe speech to text", 3, True) == [
        "loop",
        "prompt",
        "truncated",
    ]


def test_a_prompt_without_words_cannot_be_copied() -> None:
    assert flags_of("", 0.1, False, "", GuardConfig()) == []
    assert flags_of("hello", 1, False, "::", GuardConfig()) == []
    assert flags_of("speech", 1, False, "Speech:", GuardConfig()) == []
    assert flags_of("hear this", 1, False, "Hear this:", GuardConfig()) == ["prompt"]


def test_a_retry_must_mend_something_and_break_nothing() -> None:
    assert prefers_retry(["loop", "truncated"], ["truncated"])
    assert prefers_retry(["loop"], [])
    assert not prefers_retry(["loop"], ["loop"])
    assert not prefers_retry(["loop"], ["empty"])
    assert not prefers_retry(["loop", "truncated"], ["empty"])
