"""Words and times as NIST's tools read them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from speechllm.cli import main
from speechllm.data.dirs.kaldi import Audio, write_data_dir
from speechllm.decode.record import HypothesisRecord, RecordedWord
from speechllm.decode.words.ctm import ctm_lines


def word(
    text: str, start: float | None, end: float | None, sure: float | None = None
) -> RecordedWord:
    return RecordedWord(text, sure, start, end)


WORDS = {
    "u1": [word("plant", 0.1, 0.5, 0.9), word("zzz", None, None, 0.1), word("maize", 0.9, 1.3, 1)],
    "u2": [word("rye", 0.0, 0.0)],
}


def test_times_count_from_the_recording_and_gaps_are_shared() -> None:
    audio = {"u1": Audio("x.flac", 10.0, 12.0, "rec"), "u2": Audio("x.flac", 1.0, 2.0, "rec")}
    lines, guessed = ctm_lines(WORDS, audio)
    assert lines == [
        "rec 1 1.000 0.010 rye",
        "rec 1 10.100 0.400 plant 0.9000",
        "rec 1 10.500 0.400 zzz 0.1000",
        "rec 1 10.900 0.400 maize 1.0000",
    ]
    assert guessed == ["u1"]
    assert ctm_lines({"u": [word("a", None, None), word("b", 1, 2)]}, {})[0] == [
        "u 1 0.000 1.000 a",
        "u 1 1.000 1.000 b",
    ]


@pytest.fixture
def decoded(tmp_path: Path) -> Path:
    folder = tmp_path / "decode"
    folder.mkdir()
    records = [
        HypothesisRecord(u, " ".join(w.word for w in ws), words=tuple(ws)).to_json()
        for u, ws in WORDS.items()
    ]
    records.append({"id": "u3", "text": ""})
    (folder / "hyp.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    return folder


def test_the_command(decoded: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "hyp.ctm"
    main(["ctm", "--decode", str(decoded), "--out", str(out)])
    assert len(out.read_text().splitlines()) == 4
    write_data_dir(tmp_path / "data", text={"u1": "plant"}, wav={"u1": "x.flac"})
    with pytest.raises(SystemExit):
        main(["ctm", "--decode", str(decoded), "--out", str(out), "--data", f"{tmp_path}/data"])
    assert "does not have: 2 (u2, u3)" in capsys.readouterr().err


def test_hypotheses_without_times_are_refused(
    decoded: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (decoded / "hyp.jsonl").write_text('{"id": "u1", "text": "plant maize"}\n')
    with pytest.raises(SystemExit):
        main(["ctm", "--decode", str(decoded), "--out", str(tmp_path / "x")])
    assert "no word times: 1 (u1)" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.skipif(not shutil.which("sctk"), reason="sctk is not installed (apt-get install sctk)")
def test_sclite_reads_it(decoded: Path, tmp_path: Path) -> None:
    main(["ctm", "--decode", str(decoded), "--out", str(tmp_path / "hyp.ctm")])
    (tmp_path / "ref.stm").write_text(
        "u1 1 spk 0.00 2.00 plant the maize\nu2 1 spk 0.00 1.00 rye\n"
    )
    command = [
        "sctk",
        "sclite",
        "-r",
        "ref.stm",
        "stm",
        "-h",
        "hyp.ctm",
        "ctm",
        "-o",
        "rsum",
        "stdout",
    ]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    [total] = [line for line in found.stdout.splitlines() if line.strip().startswith("| Sum ")]
    numbers = total.replace("|", " ").split()[1:]
    assert numbers[:7] == ["2", "4", "3", "1", "0", "0", "1"]  # ..., correct, sub, del, ins, errors
