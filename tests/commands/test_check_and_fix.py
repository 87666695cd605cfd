"""The commands `check` and `fix` as they are typed."""

import numpy as np
import pytest
import soundfile

from speechllm import cli
from speechllm.data.dirs.kaldi import DataDir, read_table, write_table
from speechllm.data.speech.audio import load_audio
from speechllm.model.encoder.encoder import Encoder
from tests.helpers.tiny import make_encoder, make_llm


def test_a_broken_set_fails_with_what_mends_it_and_is_mended(make_data_dir, capsys):
    path = make_data_dir()
    write_table(path / "text", {**read_table(path / "text"), "utt2": ""})
    with pytest.raises(SystemExit) as caught:
        cli.main(["data", "check", str(path)])
    assert caught.value.code == 1
    out, err = capsys.readouterr()
    assert f"{path}/text:2: error: empty transcript: utt2\n  -> speechllm data fix {path}\n" in out
    assert f"1 of 1 sets have errors: {path}" in err
    assert not (path / ".checked").exists()

    cli.main(["data", "fix", str(path)])
    assert f"{path}: dropped, empty transcript: 1 (utt2)\n" in capsys.readouterr().out
    cli.main(["data", "check", str(path)])
    assert f"{path}: 0 errors, 0 warnings\n" in capsys.readouterr().out


def test_checked_sets_are_skipped_until_they_change(make_data_dir, capsys):
    paths = [str(make_data_dir()), str(make_data_dir("other_train", with_audio=False))]
    cli.main(["data", "check", *paths])
    first = capsys.readouterr().out
    assert "already" not in first
    assert [line.split() for line in first.splitlines()[-3:]] == [
        ["set", "utts", "hours", "speakers", "words", "distinct"],
        ["set_train", "3", "0.00", "2", "7", "7"],
        ["other_train", "3", "-", "-", "7", "7"],
    ]
    cli.main(["data", "check", *paths])
    assert capsys.readouterr().out.count("already checked, 0 warnings") == 2
    cli.main(["data", "check", "--force", *paths])
    assert "already" not in capsys.readouterr().out
    cli.main(["data", "check", "--max_seconds", "0.5", *paths])
    assert "0 errors, 3 warnings" in capsys.readouterr().out


def test_test_transcripts_in_training_text_are_warned_about(make_data_dir, capsys):
    train = make_data_dir("banking_train", text={"a1": "hello", "a2": "bye"}, with_audio=False)
    test = make_data_dir("banking_test", text={"b1": "bye", "b2": "thanks"}, with_audio=False)
    cli.main(["data", "check", str(train), str(test)])
    want = f"{test}/text: warning: transcripts also in {train}: 1 (b1)\n"
    assert want in capsys.readouterr().out


def test_sets_that_are_written_otherwise_than_the_source_are_warned_about(make_data_dir, capsys):
    source = make_data_dir("source_train", text={"a1": "hello there", "a2": "good bye"})
    odd = make_data_dir("farm_train", text={"b1": "HELLO COW", "b2": "GOOD."}, with_audio=False)
    fine = make_data_dir("music_train", text={"c1": "good band", "c2": "TV"}, with_audio=False)
    cli.main(["data", "check", str(source), str(odd), str(fine)])
    out = capsys.readouterr().out
    want = f"{odd}/text: warning: 0 of 3 words stand in {source}/text as they are written, 2 more "
    assert f"{want}would in lower case and without punctuation ('GOOD.' is 'good' there)\n" in out
    assert f"{fine}/text: warning" not in out and f"{source}/text: warning" not in out
    cli.main(["data", "check", str(odd), str(fine)])  # there is no source to compare them with
    assert "warning: " not in capsys.readouterr().out


def test_missing_models_of_the_config(make_data_dir, tmp_path, capsys):
    config = tmp_path / "base.yaml"
    config.write_text(f"model: {{encoder: {tmp_path}, llm: {tmp_path}}}\ntrain: {{steps: 1}}\n")
    with pytest.raises(SystemExit):
        cli.main(["data", "check", "--config", str(config), str(make_data_dir())])
    assert "model.encoder: the folder" in capsys.readouterr().err


def short_files(path, tmp_path, samples: dict[str, int]) -> None:
    """Give utterances of a set recordings of so many samples."""
    wav = read_table(path / "wav.scp")
    for utt, count in samples.items():
        wav[utt] = str(tmp_path / f"{utt}.wav")
        soundfile.write(wav[utt], np.random.default_rng(0).normal(0, 0.1, count), 16000)
    write_table(path / "wav.scp", wav)
    (path / "utt2dur").unlink()


@pytest.mark.parametrize("count", [1, 399])
def test_what_no_encoder_takes_is_refused_and_dropped(make_data_dir, tmp_path, capsys, count):
    path = make_data_dir()
    short_files(path, tmp_path, {"utt2": count})
    with pytest.raises(SystemExit):
        cli.main(["data", "check", str(path)])
    out = capsys.readouterr().out
    refused = "error: audio is shorter than 0.025 s, the least that the encoder takes"
    assert f"{refused}: utt2 ({count / 16000:.4f} s)" in out
    assert f"drop such utterances: speechllm data fix {path}\n" in out
    cli.main(["data", "fix", str(path)])
    assert DataDir.load(path).ids == ["utt1", "utt3"]
    cli.main(["data", "check", str(path)])


def test_check_refuses_exactly_what_features_cannot_take(make_data_dir, tmp_path, capsys):
    encoder, llm = make_encoder(tmp_path / "encoder"), make_llm(tmp_path / "llm")
    config = tmp_path / "base.yaml"
    config.write_text(f"model: {{encoder: {encoder}, llm: {llm}}}\ntrain: {{steps: 1}}\n")
    least = Encoder(str(encoder)).least_samples
    assert least > 400
    path = make_data_dir()
    short_files(path, tmp_path, {"utt1": least, "utt2": least - 1})
    with pytest.raises(SystemExit):
        cli.main(["data", "check", "--config", str(config), str(path)])
    out = capsys.readouterr().out
    assert f"shorter than {least / 16000:g} s" in out and ": utt2 (" in out and "1 errors" in out
    features = ["features", "--config", str(config), "--dump", str(tmp_path / "dump"), str(path)]
    with pytest.raises(SystemExit):
        cli.main(features)
    assert f"utt2: audio is shorter than {least / 16000:g} s" in capsys.readouterr().err
    remedy = out.split("drop such utterances: speechllm ")[1].splitlines()[0]
    cli.main(remedy.split())
    assert DataDir.load(path).ids == ["utt1", "utt3"]
    cli.main(["data", "check", "--config", str(config), str(path)])
    cli.main(features)
    assert len(load_audio(DataDir.load(path).audio["utt1"])) == least
