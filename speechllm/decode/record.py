"""Record of an utterance's hypothesis: a line of hyp.jsonl. Imports no torch.

Decoding writes it, and reports, ctm and pseudo-labels read it. A key that has no value is left out
of the line; a reader takes lines that others wrote, with `id` and `text` alone.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from speechllm.files.guarded import guarded
from speechllm.files.own import made_again, read_by_id

LINES = "hyp.jsonl"
"""File of the records of a decoded set."""


@dataclass(frozen=True)
class RecordedWord:
    """Word of a hypothesis.

    Attributes:
        word: as it was written.
        confidence: 0 to 1; None where it was not asked for.
        start, end: seconds from the utterance's beginning; None where they cannot be told.
    """

    word: str
    confidence: float | None = None
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class GuardRecord:
    """Flags that the guard raised for an utterance, and its second decode.

    Attributes:
        flags: of the first hypothesis, such as "loop".
        retried: it was decoded once more.
        first: text of the first hypothesis.
        retry: text of the second one; None where there is none.
        kept: "first" or "retry"; None where there was no retry.
    """

    flags: tuple[str, ...]
    retried: bool
    first: str
    retry: str | None = None
    kept: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The value of the key `guard`."""
        return {k: v for k, v in asdict(self).items() if v is not None} | {"flags": [*self.flags]}


@dataclass(frozen=True)
class HypothesisRecord:
    """Hypothesis of an utterance, with all that was measured of it.

    Attributes:
        id: utterance id.
        text: the hypothesis.
        tokens: their number, without end-of-sequence.
        truncated: it reached its bound on tokens before it ended by itself.
        guard: None where the guard raised no flag.
        hotwords: bias words that stood in the prompt.
        confidence: of the utterance, 0 to 1.
        words: with confidences and times; None where neither was asked for.
        seconds: duration of the utterance.
        decode_seconds: its share of the time that its batch took.
    """

    id: str
    text: str
    tokens: int = 0
    truncated: bool = False
    guard: GuardRecord | None = None
    hotwords: tuple[str, ...] = ()
    confidence: float | None = None
    words: tuple[RecordedWord, ...] | None = None
    seconds: float = 0.0
    decode_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The line of hyp.jsonl."""
        return {
            "id": self.id,
            "text": self.text,
            "tokens": self.tokens,
            "truncated": self.truncated,
            **({"guard": self.guard.to_json()} if self.guard else {}),
            **({"hotwords": [*self.hotwords]} if self.hotwords else {}),
            **({} if self.confidence is None else {"confidence": self.confidence}),
            **({} if self.words is None else {"words": [asdict(word) for word in self.words]}),
            "seconds": self.seconds,
            "decode_seconds": self.decode_seconds,
        }

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> "HypothesisRecord":
        """Read a line of hyp.jsonl.

        Raises:
            KeyError, TypeError, ValueError: a key is missing, or holds something else.
        """
        guard = line.get("guard")
        words = line.get("words")
        return cls(
            id=line["id"],
            text=_text(line.get("text", "")),
            tokens=int(line.get("tokens") or 0),
            truncated=bool(line.get("truncated", False)),
            guard=_guard(guard) if guard else None,
            hotwords=tuple(map(_text, line.get("hotwords") or ())),
            confidence=_number(line.get("confidence")),
            words=None if words is None else tuple(map(_word, words)),
            seconds=_number(line.get("seconds")) or 0.0,
            decode_seconds=_number(line.get("decode_seconds")) or 0.0,
        )


def read_records(folder: Path) -> dict[str, HypothesisRecord]:
    """Records of a decode folder by utterance id; empty where there is no hyp.jsonl.

    A last line that is not whole is left out.

    Raises:
        DataError: a line is no JSON object with an id, or holds something else than a hypothesis.
    """
    path = folder / LINES
    if not path.is_file():
        return {}
    lines = read_by_id(path, made_again(folder))
    with guarded(path, "is damaged", remedy=made_again(folder)):
        return {utt: HypothesisRecord.from_json(line) for utt, line in lines.items()}


def _guard(value: Mapping[str, Any]) -> GuardRecord:
    flags = tuple(map(str, value.get("flags", ())))
    retried, first = bool(value.get("retried", False)), _text(value.get("first", ""))
    return GuardRecord(flags, retried, first, value.get("retry"), value.get("kept"))


def _word(value: Mapping[str, Any]) -> RecordedWord:
    times = (_number(value.get(key)) for key in ("confidence", "start", "end"))
    return RecordedWord(_text(value["word"]), *times)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r}")
    return value


def _number(value: Any) -> float | None:
    """A finite number; None for anything else, as in lines that others wrote."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value
