"""Commands, actions and options complete in bash; zsh's script is made."""

import importlib.util
import subprocess

import pytest

from speechllm import cli

if not importlib.util.find_spec("shtab"):
    pytest.skip(
        "shtab is not installed: pip install 'speechllm[completion]'", allow_module_level=True
    )

COMPLETE = """
source /dev/stdin <<<"$SCRIPT"
COMP_WORDS=(speechllm "$@")
COMP_CWORD=$#
_shtab_speechllm speechllm "${@: -1}" "${@: -2:1}"
echo "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script() -> str:
    import shtab

    from speechllm.commands.shell.completion import whole_parser

    return shtab.complete(whole_parser(), shell="bash")


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["da"], "data"),
        (["data", "ch"], "check"),
        (["compare", ""], "plan decodings report hyps"),
        (["adapt", "--target_d"], "--target_dev"),
        (["standin", ""], "encoder llm"),
        (["data", "check", "--fu"], "--full"),
    ],
)
def test_words_complete(script: str, words: list[str], completed: str) -> None:
    done = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", *words],
        env={"SCRIPT": script, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == completed


def test_the_command_prints_a_script_for_either_shell(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["completion", "zsh"])
    assert capsys.readouterr().out.startswith("#compdef speechllm")
