"""`speechllm transcribe`: what goes to stdout, what goes to files, and the exit code."""

import json
from pathlib import Path

import pytest

import speechllm
from speechllm.cli import main


@pytest.fixture
def files(data: Path) -> list[str]:
    return [str(data / f"wav/u-{n}.wav") for n in (3, 0)]


def texts(packed: Path, files: list[str], domain: str | None = None, **decode: object) -> list[str]:
    return [t.text for t in speechllm.load(packed).transcribe(files, domain, **decode)]


def fails(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as exit_:
        main(["transcribe", *words])
    assert exit_.value.code == 1
    return capsys.readouterr().err


def test_text_goes_to_stdout_in_the_order_given(
    packed: Path, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["transcribe", "--model", str(packed), "--domain", "farm", *files])
    first, second = texts(packed, files, "farm")
    assert capsys.readouterr().out == f"u-3 {first}\nu-0 {second}\n"


def test_key_value_changes_the_search(
    packed: Path, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    wide = {"beam": 1, "max_tokens_per_second": 3.0}
    command = ["transcribe", "--model", str(packed), "--format", "jsonl", *files]
    main([*command, "beam=1", "max_tokens_per_second=3"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in lines] == texts(packed, files, **wide)
    assert [line["text"] for line in lines] != texts(packed, files)
    assert "did you mean 'beam'" in fails(["--model", "no_model", *files, "baem=1"], capsys)


def test_an_adaptation_that_does_not_count_is_the_base(
    packed: Path, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["transcribe", "--model", str(packed), "--domain", "farm", *files, "adapted=0"])
    first, second = texts(packed, files)
    assert capsys.readouterr().out == f"u-3 {first}\nu-0 {second}\n"
    assert "no adapted one" in fails(["--model", str(packed), *files, "adapted=0.5"], capsys)


def test_a_yaml_replaces_the_models_own_settings(
    packed: Path, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "d.yaml").write_text("{beam: 1, min_tokens: 2, max_tokens_per_second: 3}")
    command = ["transcribe", "--model", str(packed), "--config", f"{tmp_path}/d.yaml", *files]
    main(command)
    settings = {"beam": 1, "min_tokens": 2, "max_tokens_per_second": 3.0}
    said = [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert said == texts(packed, files, **settings)


def test_out_gets_a_file_of_each_recording_and_format(
    packed: Path, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    formats = ["--format=srt", "--format=vtt", "--format=text"]
    main(["transcribe", "--model", str(packed), "--out", f"{tmp_path}/out", *formats, *files])
    assert capsys.readouterr().out == ""
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {f"u-{n}.{ending}" for n in (0, 3) for ending in ("srt", "vtt", "txt")}
    assert (tmp_path / "out/u-3.txt").read_text() == f"u-3 {texts(packed, files)[0]}\n"
    assert (tmp_path / "out/u-3.srt").read_text().startswith("1\n00:00:00,000 --> 00:00:0")


def test_subtitles_of_several_recordings_need_a_folder(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    message = fails(["--model", "none", "--format", "srt", *files], capsys)
    assert "srt of 2 recordings cannot all go to stdout\n  -> name a folder with --out" in message


def test_what_cannot_be_read_is_named_and_the_exit_code_says_so(
    packed: Path, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    command = ["--model", str(packed), "--out", f"{tmp_path}/out"]
    message = fails([*command, files[0], f"{tmp_path}/bad.wav", files[1]], capsys)
    assert "of 3 recordings these could not be read: 1 (bad)" in message
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"u-0.txt", "u-3.txt"}


def test_a_file_whose_name_looks_like_a_setting_is_a_file(
    packed: Path,
    files: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("beam=8.wav").write_bytes(Path(files[0]).read_bytes())
    main(["transcribe", "--model", str(packed), "beam=8.wav"])
    assert capsys.readouterr().out == f"beam_8 {texts(packed, files)[0]}\n"


def test_silence_is_said_to_be_silence(
    packed: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    import numpy as np
    import soundfile

    soundfile.write(tmp_path / "quiet.wav", np.zeros(16000 * 4), 16000)
    command = ["transcribe", "--model", str(packed), "--max_seconds", "3"]
    main([*command, str(tmp_path / "quiet.wav")])
    assert capsys.readouterr().out == "quiet\n"
    assert "nothing but silence: 1 (quiet)" in caplog.text
