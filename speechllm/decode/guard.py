"""Rules that detect hypotheses which are no transcripts: loops, refusals, silence, the prompt.

They look at text alone, without torch. Reported failures of LLM-based recognisers (SLAM-LLM's
issues): endless loops of words, "I am an AI ...", a copy of the prompt. A hypothesis that is found
is decoded again and recorded; a transcript is never rewritten without a trace.
"""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from speechllm.config import PositiveFloat, PositiveInt, Section

REFUSALS = (
    "i am an ai",
    "i'm an ai",
    "as an ai",
    "as a language model",
    "i am a language model",
    "i cannot transcribe",
    "i can't transcribe",
    "i cannot process",
    "i cannot assist",
    "i can't assist",
    "i cannot provide",
    "i am unable to",
    "i'm unable to",
    "i don't have access to",
    "unable to transcribe",
)
FLAGS = ("loop", "refusal", "empty", "prompt", "truncated")
_EDGES = re.compile(r"^\W+|\W+$")


class RetryConfig(Section):
    """Safer second search for flagged hypotheses; a null key keeps the first search's value."""

    beam: PositiveInt | None = None
    no_repeat_ngram: Annotated[int, Field(ge=0)] = 6
    """Length in tokens of n-grams that may not repeat in a hypothesis; 0: as in the first
    search."""
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100)] | None = 1.2


class GuardConfig(Section):
    """Rules for hypotheses that are no transcripts, and the retry."""

    repeats: Annotated[int, Field(ge=3)] = 6
    """Number of times in succession that makes a stretch of words a loop."""
    longest_unit: PositiveInt = 12
    """Longest stretch of a loop, in words."""
    max_words_per_unique: PositiveFloat = 7.0
    """Highest ratio of words to distinct words; above it, more than 5 words are a loop. This is the
    filter of the released code of 2604.06487, which makes such a hypothesis "UNK"."""
    refusals: tuple[str, ...] = REFUSALS
    """Phrases of a refusal, in lower case, matched as whole words."""
    empty_above: PositiveFloat = 1.0
    """Seconds of audio from which on an empty hypothesis is flagged."""
    prompt_words: Annotated[int, Field(ge=2)] = 4
    """Number of words of the prompt in succession that count as a copy of it; of a shorter prompt,
    all of them. One word alone is no copy."""
    retry: RetryConfig | None = RetryConfig()
    """Second search for flagged hypotheses; null: flag only."""


def words_of(text: str) -> list[str]:
    """Words without case and without punctuation at their edges."""
    return [word for word in (_EDGES.sub("", w) for w in text.casefold().split()) if word]


def is_loop(words: Sequence[str], config: GuardConfig) -> bool:
    """Whether words repeat as no speaker repeats them.

    A loop has too high a ratio of words to distinct words, or a stretch of words that comes
    `repeats` times in succession, or a stretch of letters in a word that comes twice as often. The
    ratio alone misses a loop after a good beginning.
    """
    if len(words) > 5 and len(words) > config.max_words_per_unique * len(set(words)):
        return True
    if _repeats(words, config.longest_unit, config.repeats):
        return True
    # Letters repeat more readily than words ("aaah"), so they need twice as many repeats.
    return any(_repeats(word, 4, 2 * config.repeats) for word in words if not word.isdecimal())


def _repeats(items: Sequence[str], longest: int, times: int) -> bool:
    """Whether some unit of up to `longest` items comes `times` times in succession."""
    for unit in range(1, min(longest, len(items) // times) + 1):
        run = 0
        for place in range(unit, len(items)):
            run = run + 1 if items[place] == items[place - unit] else 0
            if run >= unit * (times - 1):
                return True
    return False


def _contains(words: Sequence[str], part: Sequence[str]) -> bool:
    return f" {' '.join(part)} " in f" {' '.join(words)} "


def flags_of(
    text: str, seconds: float, truncated: bool, prompt: str, config: GuardConfig
) -> list[str]:
    """Flags of a hypothesis that is no transcript, in the order of `FLAGS`; else [].

    Args:
        text: the hypothesis.
        seconds: duration of the utterance.
        truncated: whether it reached its bound on tokens.
        prompt: the words around the speech slot.
        config: the rules.
    """
    words, asked = words_of(text), words_of(prompt)
    length = min(config.prompt_words, len(asked))
    places = range(len(asked) - length + 1) if length > 1 else ()
    stretches = [asked[place : place + length] for place in places]
    found = {
        "loop": is_loop(words, config),
        "refusal": any(_contains(words, words_of(phrase)) for phrase in config.refusals),
        "empty": not words and seconds >= config.empty_above,
        "prompt": any(_contains(words, stretch) for stretch in stretches),
        "truncated": truncated,
    }
    return [flag for flag in FLAGS if found[flag]]


def prefers_retry(first: Sequence[str], retry: Sequence[str]) -> bool:
    """Whether a retry replaces the first hypothesis: it has fewer flags, and no new one."""
    return len(retry) < len(first) and set(retry) <= set(first)
