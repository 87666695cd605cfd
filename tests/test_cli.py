import errno
import logging
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from speechllm import cli
from speechllm.errors import SpeechLLMError

ROOT = Path(__file__).parents[1]


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
        name for name in cli.COMMANDS if not (ROOT / f"speechllm/commands/{name}.py").is_file()
    ]
    assert missing == []


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


def test_a_bug_keeps_its_traceback(command):
    command(throw(KeyError("bug")))
    with pytest.raises(KeyError):
        cli.main(["trial"])


def test_ctrl_c_exits_130(command):
    command(throw(KeyboardInterrupt()))
    with pytest.raises(SystemExit) as exit:
        cli.main(["trial"])
    assert exit.value.code == 130
