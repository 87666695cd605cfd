"""Findings of a check of a data dir, and how they are printed."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from speechllm.data.dirs.tables import FIRST_IDS


class Decision(NamedTuple):
    """Decision of `speechllm data fix` on a fault.

    Attributes:
        does: it mends the line, drops the utterance, drops the line alone, or asks the user.
        said: the reason that it prints.
        key: id of what is dropped.
    """

    does: Literal["mend", "drop", "drop line", "ask"]
    said: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault in one place.

    Attributes:
        severity: a set with an error cannot be used; a warning is for the user to judge.
        message: what is wrong, in words that are the same for every place with this fault.
        file, line: place of the fault; the line is 1-based.
        remedy: the command or the edit that fixes it.
        item: the utterance or value at fault.
        decision: of `speechllm data fix`; None: it leaves the fault, or makes that table anew.
    """

    severity: Literal["error", "warning"]
    message: str
    file: Path
    line: int | None = None
    remedy: str = ""
    item: str = ""
    decision: Decision | None = None


def group_findings(complaints: Iterable[Finding]) -> list[str]:
    """Format findings for printing: equal ones together, with a count and the first five items."""
    groups: dict[tuple[Any, ...], list[Finding]] = {}
    for c in complaints:
        groups.setdefault((c.severity, c.message, c.file, c.remedy), []).append(c)
    # Errors first; within a severity the order in which they were found.
    ordered = sorted(groups.values(), key=lambda group: group[0].severity)
    return [_format(group) for group in ordered]


def _format(group: list[Finding]) -> str:
    first = group[0]
    place = f"{first.file}:{first.line}" if first.line else str(first.file)
    items = [_item(c, with_line=len(group) > 1) for c in group[:FIRST_IDS]]
    more = ", ..." if len(group) > FIRST_IDS else ""
    count = f" [{len(group)}]" if len(group) > 1 else ""
    about = f": {', '.join(items)}{more}" if any(items) else ""
    remedy = f"\n  -> {first.remedy}" if first.remedy else ""
    return f"{place}: {first.severity}: {first.message}{count}{about}{remedy}"


def _item(complaint: Finding, with_line: bool) -> str:
    # An invalid id may hold control characters, which would command the terminal.
    item = "".join(c if c.isprintable() else repr(c)[1:-1] for c in complaint.item)
    line = f"line {complaint.line}" if with_line and complaint.line else ""
    return " at ".join(filter(None, (item, line)))
