"""The commands `subset`, `split` and `combine` as they are typed, and Kaldi's names for them."""

import os
import subprocess
import sys

import pytest

from speechllm import cli
from speechllm.data.dirs.kaldi import read_table, write_table
from tests.helpers.paths import ROOT


@pytest.fixture
def data(make_data_dir):
    """Six utterances of two speakers, a second each, with a table that nobody knows."""
    path = make_data_dir("all", text={f"u{n}": f"word {n}" for n in range(6)})
    write_table(path / "moods", {f"u{n}": str(n) for n in range(6)})
    return path


def run(capsys, *argv: object) -> str:
    cli.main([str(word) for word in argv])
    return capsys.readouterr().out


def failing(capsys, *argv: object) -> str:
    with pytest.raises(SystemExit):
        cli.main([str(word) for word in argv])
    return capsys.readouterr().err


def test_subset_says_what_it_drops(data, tmp_path, capsys):
    out = tmp_path / "part"
    assert run(capsys, "data", "subset", "--first", "2", data, out) == (
        f"{data}: 6 utterances, 2 speakers, 0.0017 h\n"
        f"{out}: 2 utterances, 2 speakers, 0.0006 h\n"
        "dropped, utterances: 4 (u2, u3, u4, u5)\n"
    )
    assert (out / "moods").read_text() == "u0 0\nu1 1\n"
    assert run(capsys, "data", "check", out).startswith(f"{out}: 0 errors, 0 warnings\n")
    printed = run(capsys, "data", "subset", "--n_speakers", "1", "--last", data, out)
    assert "dropped, speakers: 1 (spk0)\n" in printed
    assert list(read_table(out / "text")) == ["u1", "u3", "u5"]
    (tmp_path / "list").write_text("u4\n")
    run(capsys, "data", "subset", data, out, "--utt_list", tmp_path / "list")
    assert list(read_table(out / "text")) == ["u4"]
    run(capsys, "data", "subset", "--hours", 3 / 3600, "--seed", 3, data, out)
    assert len(read_table(out / "text")) == 3


def test_subset_wants_one_amount(data, tmp_path, capsys):
    wrong = ([], ["--hours", "1", "2"], ["--utt_list", "x", "2"], ["--spk_list", "x", "--speakers"])
    for words in wrong:
        assert "one amount is needed" in failing(
            capsys, "data", "subset", *words, data, tmp_path / "x"
        )
    assert "not allowed with" in failing(
        capsys, "data", "subset", "--first", "--last", 2, data, data
    )
    error = failing(capsys, "data", "subset", 2, data, data)
    assert "this folder is to be written, and holds" in error
    assert len(read_table(data / "text")) == 6


def test_split_for_jobs(data, capsys):
    printed = run(capsys, "data", "split", data, "2")
    assert f"{data}/split2/1: 3 utterances, 1 speakers, 0.0008 h\n" in printed
    assert "dropped" not in printed
    run(capsys, "data", "split", "--per_utt", data, "3")
    sizes = [len(read_table(data / f"split3utt/{n}/text")) for n in (1, 2, 3)]
    assert sizes == [2, 2, 2]
    assert run(capsys, "data", "check", data / "split2/2").startswith(f"{data}/split2/2: 0 errors")
    assert run(capsys, "data", "subset", "--first", 1, data, data.parent / "one")


def test_split_for_training_and_testing(data, tmp_path, capsys):
    run(capsys, "data", "split", data, "--into", f"{tmp_path}/train=2", f"{tmp_path}/test=1")
    speakers = [
        set(read_table(tmp_path / f"{name}/utt2spk").values()) for name in ("train", "test")
    ]
    assert speakers in ([{"spk0"}, {"spk1"}], [{"spk1"}, {"spk0"}])
    for words in (["x"], ["x=a"], ["x=0"], ["=1"]):
        assert "DIR=SHARE with a share above 0" in failing(
            capsys, "data", "split", data, "--into", *words
        )
    assert "names a folder twice" in failing(capsys, "data", "split", data, "--into", "x=1", "x=2")
    assert "a number of parts is needed" in failing(capsys, "data", "split", data)
    assert "holds" in failing(
        capsys, "data", "split", data, "--into", f"{tmp_path}/y=1", f"{data}=1"
    )


def test_combine(data, make_data_dir, tmp_path, capsys):
    other = make_data_dir("other", text={"v1": "x"})
    printed = run(capsys, "data", "combine", tmp_path / "both", data, other)
    tables = "text wav.scp utt2spk spk2utt utt2dur"
    assert printed == f"{tmp_path}/both: 7 utterances = 6 ({data}) + 1 ({other}): {tables}\n"
    assert run(capsys, "data", "check", tmp_path / "both").startswith(f"{tmp_path}/both: 0 errors")


def test_the_names_that_kaldi_has(data, tmp_path):
    """utils/*.sh hand everything to the command, from whatever folder they are called."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/speechllm"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m speechllm "$@"\n')
    command.chmod(0o755)
    (tmp_path / "utils").mkdir()
    (tmp_path / "tools").mkdir()
    for script in [*ROOT.glob("utils/*_data*.sh"), ROOT / "utils/environment.sh"]:
        (tmp_path / "utils" / script.name).symlink_to(script)
    # As in a checkout whose environment is active and which was not set up itself.
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def call(name: str, *words: object) -> str:
        return subprocess.run(
            [tmp_path / "utils" / name, *map(str, words)],
            env=os.environ | environment,
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    call("subset_data_dir.sh", "--first", 2, data, "two")
    call("subset_data_dir.sh", "--last", 2, data, "more")
    assert "4 utterances" in call("combine_data.sh", "four", "two", "more")
    call("split_data.sh", "--per-utt", "four", 2)
    assert len(read_table(tmp_path / "four/split2utt/2/text")) == 2
    assert "4 utterances" in call("perturb_data_dir_speed.sh", 1.1, "four", "fast")
    assert "nothing to fix" in call("fix_data_dir.sh", "four")
    assert "0 errors" in call("validate_data_dir.sh", "--no-feats", "four")
