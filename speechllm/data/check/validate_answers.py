"""Checks of the LLM's answers, where they are another table than the transcripts."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from speechllm.data.dirs.tables import Row
from speechllm.task import Task

Limit = Callable[..., str | None]


class Complain(Protocol):
    """Function that notes a fault of a table."""

    def __call__(
        self,
        file: str,
        message: str,
        line: int | None = None,
        remedy: str | None = None,
        item: str = "",
        severity: str = "error",
    ) -> None: ...


def check_answers(
    path: Path,
    text: Mapping[str, Row],
    task: Task | None,
    scan: Callable[[str], Mapping[str, Row]],
    complain: Complain,
    limit: Limit,
    others: Sequence[Task] = (),
) -> None:
    """Check the answers of the given task, and those of other tasks whose tables exist.

    Args:
        path: the data dir.
        text: its transcripts.
        task: the task that the set is used for, whose table must be complete; None: not known.
        scan: reads a table.
        complain: notes a fault.
        limit: says why transcript and answer together do not fit the LLM, or returns None.
        others: other tasks that the set might be meant for.
    """
    tables = {other.table: other for other in (*reversed(others), *([task] if task else []))}
    tables.pop("text", None)
    for table, other in tables.items():
        if (path / table).exists():
            _check_table(other, scan(table), text, other is task, complain, limit)
        elif other is task:
            remedy = f"the task {other.name} needs it: make the data again, or change model.task"
            complain(table, "file is missing", remedy=remedy)


def _check_table(
    task: Task,
    rows: Mapping[str, Row],
    text: Mapping[str, Row],
    wanted: bool,
    complain: Complain,
    limit: Limit,
) -> None:
    edit = "mend or delete the line"
    for utt, row in sorted(rows.items()):
        if utt not in text:
            complain(task.table, "answer of an unknown utterance", row.line, edit, utt)
            continue
        transcript = text[utt].value
        try:
            answer = task.answer(row.value, transcript)
        except ValueError as error:
            message, _, detail = str(error).partition(": ")
            item = f"{utt} ({detail})" if detail else utt
            complain(task.table, f"malformed: {message}", row.line, edit, item)
            continue
        for remark in task.remarks(row.value, transcript):
            message, _, detail = remark.partition(": ")
            remedy = "mend the line or the transcript, if one of them is wrong"
            item = f"{utt} ({detail})"
            complain(task.table, message, row.line, remedy, item, "warning")
        if wanted and (problem := limit(transcript, answer)):
            remedy = "shorten the answer, drop the utterance, or use a longer context"
            complain(task.table, problem, row.line, remedy, utt)
    for utt in sorted(text.keys() - rows.keys()):
        remedy = "add a line for it, or take the utterance out (speechllm data subset)"
        severity = "error" if wanted else "warning"
        complain(task.table, "no line for an utterance", None, remedy, utt, severity)
