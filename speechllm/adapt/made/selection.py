"""Selection of hypotheses that are good enough to learn from. Imports no torch."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from speechllm.config import Section
from speechllm.data.dirs.forms import compare, count_words
from speechllm.errors import ConfigError
from speechllm.files.utf8 import read_text


@dataclass(frozen=True)
class Recognised:
    """Hypothesis of an utterance, and scores of how far it can be trusted.

    Attributes:
        text: the hypothesis.
        truncated: whether it reached its limit on tokens before it ended by itself.
        log_prob: mean log-probability of its tokens and end-of-sequence (nats); None if no filter
            needs it.
        disagreement: character errors of a second decode per character of the hypothesis; None if
            no filter needs it.
    """

    text: str
    truncated: bool
    log_prob: float | None = None
    disagreement: float | None = None


class Filters(Section):
    """Conditions for a hypothesis (2506.03681); one that is no answer of the task never passes."""

    truncated: bool = False
    """Keep hypotheses that reached their limit on tokens too; most of those repeat themselves."""
    min_log_prob: Annotated[float, Field(le=0)] | None = None
    """Lowest mean log-probability of a token (nats), by the base itself; null = any."""
    max_disagreement: Annotated[float, Field(ge=0)] | None = None
    """Highest CER of a second decode against the first (0.1 = 10 %); null = any."""
    phrases: str | None = None
    """File of phrases, one a line; a hypothesis must hold one, as whole words. Null = any."""


def read_phrases(path: str) -> list[str]:
    """Read a list of phrases, in lower case.

    Raises:
        ConfigError: the file cannot be read, or holds no phrase.
    """
    lines = read_text(path, ConfigError, "keep.phrases").split("\n")
    if not any(line.strip() for line in lines):
        raise ConfigError(f"keep.phrases: {path} holds no phrase")
    return [_plain(line) for line in lines if line.strip()]


def odd_phrases(heard: Mapping[str, Recognised], phrases: Collection[str]) -> str | None:
    """Warning if hypotheses hold many phrases in another form (e.g. with punctuation), or None.

    Args:
        heard: hypotheses by utterance id.
        phrases: phrases from `read_phrases`.
    """
    words = count_words(_plain(h.text) for h in heard.values())
    fit = compare(dict.fromkeys(phrases, 1), words)
    return fit.says("phrases", "the hypotheses") if fit.is_odd(of_list=True) else None


def select(
    heard: Mapping[str, Recognised],
    filters: Filters,
    phrases: Collection[str] = (),
    is_answer: Callable[[str], bool] = bool,
) -> tuple[list[str], dict[str, Any]]:
    """Apply the filters.

    Args:
        heard: hypotheses by utterance id.
        filters: the filters; null ones let everything pass.
        phrases: phrases that `filters.phrases` names.
        is_answer: says whether a hypothesis has the form of the task's answers at all.

    Returns:
        The ids that pass all filters, and a report: numbers of hypotheses, of those that each
        filter alone lets pass, and of those kept.
    """
    passes: dict[str, set[str]] = {"answers": {u for u, h in heard.items() if is_answer(h.text)}}
    if not filters.truncated:
        passes["not_truncated"] = {u for u, h in heard.items() if not h.truncated}
    if (least := filters.min_log_prob) is not None:
        passes["log_prob"] = {u for u, h in heard.items() if h.log_prob >= least}
    if (most := filters.max_disagreement) is not None:
        passes["agreement"] = {u for u, h in heard.items() if h.disagreement <= most}
    if filters.phrases is not None:
        passes["phrases"] = {u for u, h in heard.items() if _holds_any(h.text, phrases)}
    kept = [utt for utt in heard if all(utt in passing for passing in passes.values())]
    counts = {name: len(passing) for name, passing in passes.items()}
    return kept, {"heard": len(heard), "passed": counts, "kept": len(kept)}


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _holds_any(text: str, phrases: Collection[str]) -> bool:
    words = f" {_plain(text)} "
    return any(f" {phrase} " in words for phrase in phrases)
