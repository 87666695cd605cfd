import argparse
import errno
import logging
import os
import subprocess
import sys
import time
import types

import pytest

from speechllm import cli
from speechllm.commands.options import register
from speechllm.commands.options.parser import Parser
from speechllm.errors import DataError, SpeechLLMError, shown
from tests.helpers.paths import ROOT


@pytest.fixture
def command(monkeypatch):
    """Put a command of the test's own into the table; returns what it was called with."""
    calls = []

    def add_arguments(parser):
        parser.add_argument("--target_dev", nargs="*", default=[])
        parser.add_argument("--steps", type=int)

    def install(action=lambda args: None):
        module = types.ModuleType("speechllm.commands.trial", "Try things.")
        module.add_arguments = add_arguments
        module.run = lambda args: (calls.append(args), action(args))
        monkeypatch.setitem(cli.COMMANDS, "trial", "a trial")
        monkeypatch.setitem(sys.modules, "speechllm.commands.trial", module)
        return calls

    logger = logging.getLogger("speechllm")
    level = logger.level
    yield install
    logger.setLevel(level)


def throw(error):
    def action(args):
        raise error

    return action


def speechllm(*argv: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "speechllm", *argv], cwd=ROOT, capture_output=True, text=True
    )


def test_help_names_every_command_and_is_quick():
    begin = time.monotonic()
    done = speechllm("--help")
    seconds = time.monotonic() - begin
    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout for name in cli.COMMANDS)
    assert seconds < 2  # 0.1 s on an idle machine


def test_the_entry_point_imports_nothing_heavy():
    heavy = "torch transformers numpy rich pydantic yaml"
    code = (
        "import sys, speechllm.cli; "
        f"print([name for name in '{heavy}'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_every_command_has_a_module():
    missing = [
        name
        for name in cli.COMMANDS
        if not (
            ROOT / f"speechllm/commands/{register.place_of(name).replace('.', '/')}.py"
        ).is_file()
    ]
    assert missing == []


def test_commands_of_a_group_and_their_old_names(capsys):
    assert register.find_command(["data", "check", "x"]) == ("data check", ["x"])
    assert register.find_command(["compare", "plan"]) == ("compare", ["plan"])
    assert register.find_command(["import-model", "x"]) == ("import_model", ["x"])
    assert capsys.readouterr().err == ""
    assert register.find_command(["standin-llm", "x"]) == ("standin llm", ["x"])
    assert "its name is now `speechllm standin llm`" in capsys.readouterr().err
    assert {register.find_command([old])[0] for old in register.OLD} == set(register.OLD.values())


def test_a_group_alone_names_its_commands():
    done = speechllm("data", "chek")
    assert done.returncode == 2
    assert "speechllm data: give one of check, fix," in done.stderr
    assert "did you mean 'check'?" in done.stderr


def test_an_unknown_command_names_the_nearest():
    done = speechllm("adpat")
    assert done.returncode == 2
    assert "unknown command 'adpat', did you mean 'adapt'?" in done.stderr


def test_an_option_takes_dashes_and_both_ways_of_giving_a_value(command):
    calls = command()
    cli.main(["trial", "--target-dev", "a", "b", "--steps=3"])
    assert calls[0].target_dev == ["a", "b"] and calls[0].steps == 3


@pytest.mark.parametrize("option", ["--target_dve", "--target_dve=x", "--target-dve"])
def test_an_unknown_option_names_the_nearest(command, capsys, option):
    command()
    with pytest.raises(SystemExit) as exit:
        cli.main(["trial", option])
    assert exit.value.code == 2
    assert "unknown option --target_dve, did you mean '--target_dev'?" in capsys.readouterr().err


def test_an_abbreviation_is_not_guessed(command, capsys):
    command()
    with pytest.raises(SystemExit):
        cli.main(["trial", "--step", "3"])
    assert "did you mean '--steps'?" in capsys.readouterr().err


def test_a_users_error_is_shown_without_a_traceback(command, capsys):
    command(throw(SpeechLLMError("no such set", "run stage 1")))
    with pytest.raises(SystemExit) as exit:
        cli.main(["trial"])
    assert exit.value.code == 1
    assert capsys.readouterr().err == "speechllm trial: error: no such set\n  -> run stage 1\n"


def test_debug_shows_the_traceback(command, monkeypatch):
    command(throw(SpeechLLMError("no such set")))
    with pytest.raises(SpeechLLMError):
        cli.main(["trial", "--debug"])
    monkeypatch.setenv("SPEECHLLM_DEBUG", "1")
    with pytest.raises(SpeechLLMError):
        cli.main(["trial"])


def test_a_full_disk_is_a_users_error(command, capsys):
    command(throw(OSError(errno.ENOSPC, "No space left on device", "exp/x")))
    with pytest.raises(SystemExit) as exit:
        cli.main(["trial"])
    assert exit.value.code == 1
    message = capsys.readouterr().err
    assert "exp/x: No space left on device" in message and "free some space" in message


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            OSError(errno.EDQUOT, "Disk quota exceeded", "a/b"),
            "a/b: Disk quota exceeded\n",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "a b/c"), "ls -ld . 'a b/c'"),
        (
            OSError(errno.ENOSPC, "No space left on device", "from", None, "a/to"),
            "error: a/to: No",
        ),
        (
            OSError(errno.ENOTDIR, "Not a directory", "a", None, "b"),
            "a -> b: Not a directory\n",
        ),
        (OSError("some library's words"), "error: some library's words\n"),
        (OSError(), "error: OSError\n"),
    ],
)
def test_what_the_system_refuses_names_the_file_and_what_helps(command, capsys, error, expected):
    command(throw(error))
    with pytest.raises(SystemExit) as exit:
        cli.main(["trial"])
    assert exit.value.code == 1
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["check", "data"]])
def test_an_output_that_cannot_be_written_is_a_users_error(make_data_dir, words):
    words = [str(make_data_dir()) if word == "data" else word for word in words]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "speechllm", *words],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert "error: standard output: No space left on device\n" in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "speechllm", "--help"],
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + 13, "")


def test_a_bug_keeps_its_traceback(command):
    command(throw(KeyError("bug")))
    with pytest.raises(KeyError):
        cli.main(["trial"])


def test_a_program_says_that_it_is_a_bug_and_keeps_the_traceback(
    command, capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr(sys, "argv", ["speechllm", "trial"])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    command(throw(KeyError("x" * 5000)))
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert exit.value.code == cli.BUG
    said = capsys.readouterr().err
    (kept,) = tmp_path.iterdir()
    assert said.startswith("speechllm trial: a bug of speechllm") and "KeyError: 'xxx" in said
    assert str(kept) in said and said.count("\n") == 2 and len(said) < 700
    assert kept.read_text().startswith("speechllm ") and "Traceback" in kept.read_text()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory.\nTried to"),
    ],
)
def test_a_machine_without_room_is_no_bug(command, capsys, error):
    command(throw(error))
    with pytest.raises(SystemExit) as exit:
        cli.main(["trial"])
    assert exit.value.code == 1
    said = capsys.readouterr().err
    assert "memory" in said and "  -> make batches smaller" in said and said.count("\n") == 2


def test_a_bug_is_told_where_its_traceback_cannot_be_kept(command, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["speechllm", "trial"])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    command(throw(KeyError("x")))
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert exit.value.code == cli.BUG and "with what --debug shows" in capsys.readouterr().err


def test_a_terminal_need_not_know_all_letters(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/text").write_text("u1 caf\u00e9\nu1 \u4eba\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "speechllm", "subset", "--first", "1", "x", "caf\u00e9"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert "Traceback" not in done.stderr and "bug" not in done.stderr


@pytest.mark.parametrize("word", ["nan", "inf", "1e3", "9" * 30, "9" * 5000, "-", "", "0x10"])
def test_a_whole_number_has_bounds(command, capsys, word):
    command()
    with pytest.raises(SystemExit) as exit:
        cli.main(["trial", f"--steps={word}"])
    assert exit.value.code == 2
    said = capsys.readouterr().err
    assert "argument --steps: " in said and len(said) < 1500


@pytest.mark.parametrize(
    "words",
    [
        "score --n_bootstrap 0",
        "score --n_bootstrap 99999999999",
        "score --seed -1",
        "subset --hours nan a b",
        "subset --hours inf a b",
        "subset -5 a b",
        "split data 0",
        "features --batch_seconds -1 data",
        "check --max_seconds nan data",
        "transcribe --max_seconds inf",
        "run --max_jobs_run 0 log true",
        "report --audio_mb -1",
    ],
)
def test_no_command_takes_a_number_that_means_nothing(capsys, words):
    with pytest.raises(SystemExit) as exit:
        cli.main(words.split())
    assert exit.value.code == 2
    assert "argument" in capsys.readouterr().err


def test_no_message_is_endless(command, capsys):
    long = "x" * 60_000_000
    command(throw(DataError(f"not a list: {long}", "a.yaml", 3, f"remove {long}")))
    with pytest.raises(SystemExit):
        cli.main(["trial"])
    said = capsys.readouterr().err
    assert "a.yaml:3: not a list: xxx" in said and len(said) < 2500
    command(throw(DataError("\n".join(["a\x1b[2J\ud800"] * 100_000), "b")))
    with pytest.raises(SystemExit):
        cli.main(["trial"])
    said = capsys.readouterr().err
    assert said.count("\n") < 70 and "a\\x1b[2J\\ud800" in said


def test_no_line_of_the_log_is_endless(command, caplog):
    command()
    cli.main(["trial"])
    record = logging.makeLogRecord({"msg": "%s", "args": ("\x07" * 9999,), "levelname": "WARNING"})
    assert len(cli.Formatter("%(message)s").format(record)) < 5000


def test_a_value_from_outside_is_quoted_in_short():
    values = {"a": ["x" * 10**6] * 10**6}, 1 << 99_999, "\ud800" * 9999, b"x" * 10**6
    assert max(len(shown(value)) for value in values) <= 100


def test_ctrl_c_exits_130(command):
    command(throw(KeyboardInterrupt()))
    with pytest.raises(SystemExit) as exit:
        cli.main(["trial"])
    assert exit.value.code == 130


def test_warnings_of_other_packages_that_matter_are_logged():
    code = (
        "import warnings, speechllm.cli as cli; cli.configure_logging({debug}); "
        "warnings.warn('old', FutureWarning); warnings.warn('look')"
    )
    for debug in (False, True):
        done = subprocess.run(
            [sys.executable, "-c", code.format(debug=debug)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert "WARNING" in done.stderr and "UserWarning: look" in done.stderr
        assert ("FutureWarning: old" in done.stderr) == debug


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_number_of_every_command_has_bounds(command):
    module = register.load_command(command)
    parser = Parser()
    module.add_arguments(parser)
    for action in parser._actions:
        for word in ("nan", "-inf", "1e999", "9" * 30, "9" * 5000) if action.type else ():
            try:
                value = parser._get_value(action, word)
            except argparse.ArgumentError as error:
                assert len(str(error)) < 6000
            else:
                assert not isinstance(value, int | float)


def test_help_of_a_group_lists_its_commands():
    done = speechllm("data", "--help")
    assert done.returncode == 0 and "  data check " in done.stdout and "adapt" not in done.stdout
