"""The commands `check` and `fix` as they are typed."""

import pytest

from speechllm import cli
from speechllm.data.kaldi import read_table, write_table


def test_a_broken_set_fails_with_what_mends_it_and_is_mended(make_data_dir, capsys):
    path = make_data_dir()
    write_table(path / "text", {**read_table(path / "text"), "utt2": ""})
    with pytest.raises(SystemExit) as caught:
        cli.main(["check", str(path)])
    assert caught.value.code == 1
    out, err = capsys.readouterr()
    assert f"{path}/text:2: error: empty transcript: utt2\n  -> speechllm fix {path}\n" in out
    assert f"1 of 1 sets have errors: {path}" in err
    assert not (path / ".checked").exists()

    cli.main(["fix", str(path)])
    assert f"{path}: dropped, empty transcript: 1 (utt2)\n" in capsys.readouterr().out
    cli.main(["check", str(path)])
    assert f"{path}: 0 errors, 0 warnings\n" in capsys.readouterr().out


def test_checked_sets_are_skipped_until_they_change(make_data_dir, capsys):
    paths = [str(make_data_dir()), str(make_data_dir("other_train", with_audio=False))]
    cli.main(["check", *paths])
    first = capsys.readouterr().out
    assert "already" not in first
    assert [line.split() for line in first.splitlines()[-3:]] == [
        ["set", "utts", "hours", "speakers", "words", "distinct"],
        ["set_train", "3", "0.00", "2", "7", "7"],
        ["other_train", "3", "-", "-", "7", "7"],
    ]
    cli.main(["check", *paths])
    assert capsys.readouterr().out.count("already checked, 0 warnings") == 2
    cli.main(["check", "--force", *paths])
    assert "already" not in capsys.readouterr().out
    cli.main(["check", "--max_seconds", "0.5", *paths])
    assert "0 errors, 3 warnings" in capsys.readouterr().out


def test_test_transcripts_in_training_text_are_warned_about(make_data_dir, capsys):
    train = make_data_dir("banking_train", text={"a1": "hello", "a2": "bye"}, with_audio=False)
    test = make_data_dir("banking_test", text={"b1": "bye", "b2": "thanks"}, with_audio=False)
    cli.main(["check", str(train), str(test)])
    want = f"{test}/text: warning: transcripts also in {train}: 1 (b1)\n"
    assert want in capsys.readouterr().out


def test_missing_models_of_the_config(make_data_dir, tmp_path, capsys):
    config = tmp_path / "base.yaml"
    config.write_text(f"model: {{encoder: {tmp_path}, llm: {tmp_path}}}\ntrain: {{steps: 1}}\n")
    with pytest.raises(SystemExit):
        cli.main(["check", "--config", str(config), str(make_data_dir())])
    assert "model.encoder: the folder" in capsys.readouterr().err
