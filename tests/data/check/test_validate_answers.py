"""`speechllm data check` on answers that are no transcripts."""

from pathlib import Path

import pytest

from speechllm.data.check.findings import group_findings
from speechllm.data.check.validate import check_data_dir
from speechllm.data.dirs.kaldi import write_table
from speechllm.task import load_task, load_tasks

GOOD = '{"scenario": "a", "action": "b", "entities": [{"type": "t", "filler": "hello"}]}'
STRANGE = GOOD.replace("hello", "goodbye")
SLU = load_task("slu")


@pytest.fixture
def folder(make_data_dir) -> Path:
    path = make_data_dir(text={"u1": "hello world", "u2": "hello you", "u3": "hello"})
    write_table(path / "semantics", dict.fromkeys(("u1", "u2", "u3"), GOOD))
    return path


def said(path: Path, **options: object) -> list[str]:
    return group_findings(check_data_dir(path, others=load_tasks(), **options))


def test_a_flawless_set(folder: Path) -> None:
    assert said(folder, task=SLU) == said(folder) == []


def test_a_missing_table_is_only_missed_by_its_task(folder: Path) -> None:
    (folder / "semantics").unlink()
    assert said(folder) == said(folder, task=load_task("asr")) == []
    (complaint,) = said(folder, task=SLU)
    assert "semantics: error: file is missing" in complaint and "model.task" in complaint


def test_faults_name_line_and_utterance(folder: Path) -> None:
    table = {"u1": "{", "u2": STRANGE, "u9": GOOD}
    write_table(folder / "semantics", table)
    found = "\n".join(said(folder, task=SLU))
    assert "semantics:1: error: malformed: no JSON: u1 (Expecting property name" in found
    assert "semantics:3: error: answer of an unknown utterance: u9" in found
    assert "semantics: error: no line for an utterance: u3" in found
    assert "semantics:2: warning: filler does not occur in the transcript: u2 (goodbye)" in found
    assert "warning: no line for an utterance: u3" in "\n".join(said(folder))


def test_strange_fillers_are_counted(folder: Path) -> None:
    write_table(folder / "semantics", dict.fromkeys(("u1", "u2", "u3"), STRANGE))
    (complaint,) = said(folder, task=SLU)
    assert "warning: filler does not occur in the transcript [3]: u1 (goodbye) at line 1" in (
        complaint
    )


def test_speech_without_transcript_may_be_understood(folder: Path) -> None:
    write_table(folder / "text", {"u1": "hello world", "u2": "", "u3": "hello"})
    assert "error: empty transcript: u2" in said(folder)[0]
    (complaint,) = said(folder, task=SLU)
    assert "text:2: warning: empty transcript: heard, but never read: u2" in complaint


def test_the_answer_must_fit_the_llm_too(folder: Path) -> None:
    def limit(transcript: str, answer: str | None = None) -> str | None:
        return "too long" if answer and len(transcript) + len(answer) > len(GOOD) + 10 else None

    (complaint,) = said(folder, task=SLU, transcript_limit=limit)
    assert "semantics:1: error: too long: u1" in complaint
