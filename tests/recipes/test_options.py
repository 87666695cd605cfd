"""utils/parse_options.sh: variables of a script as its options."""

import subprocess

import pytest

from tests.helpers.paths import ROOT


@pytest.fixture
def script(tmp_path):
    """A script of a few options; returns a function that gives (exit code, output)."""
    path = tmp_path / "trial.sh"
    path.write_text(f"""#!/usr/bin/env bash
# A trial.
set -euo pipefail
nj=4           # jobs that run at once
quick=false
# a word about the rate
rate=1e-4
name="a b"
work_dir=.
_hidden=1
. "{ROOT}/utils/parse_options.sh"
later=5
echo "nj=$nj quick=$quick rate=$rate name=$name work_dir=$work_dir later=$later"
""")

    def run(*options: str) -> tuple[int, str]:
        done = subprocess.run(["bash", path, *options], capture_output=True, text=True, timeout=10)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--nj", "8"], "nj=8 "),
        (["--nj=8"], "nj=8 "),
        (["--work-dir", "x"], "work_dir=x "),
        (["--work_dir=x=y"], "work_dir=x=y "),
        (["--nj", "8", "--nj", "9"], "nj=9 "),
        (["--quick"], "quick=true "),
        (["--quick", "--nj", "8"], "quick=true "),
        (["--quick", "false"], "quick=false "),
        (["--quick=true"], "quick=true "),
        (["--rate", "-3"], "rate=-3 "),
        (["--rate", "2.5E+3"], "rate=2.5E+3 "),
        (["--name="], "name= "),
        (["--name", ""], "name= "),
        (["--name", "--beam 4"], "name=--beam 4 "),
        (["--name=--beam"], "name=--beam "),
        (["--name", "$(touch x); `touch y` 'z' \"q\" *"], "name=$(touch x); `touch y` 'z' \"q\" *"),
    ],
)
def test_an_option_sets_its_variable(script, options, expected):
    code, output = script(*options)
    assert code == 0 and expected in output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--nj"], "--nj needs a value"),
        (["--nj", "--quick"], "--nj needs a value"),
        (["--nj", "two"], "--nj is a number, not 'two'"),
        (["--nj="], "--nj is a number, not ''"),
        (["--rate", "1e"], "--rate is a number"),
        (["--quick", "maybe"], "--quick is true or false, not 'maybe'"),
        (["--quik"], "unknown option --quik, did you mean 'quick'?"),
        (["--wrok-dir", "x"], "unknown option --wrok_dir, did you mean 'work_dir'?"),
        (["--work", "x"], "unknown option --work, did you mean 'work_dir'?"),
        (["--zzzzzzzzz=1"], "known: nj, quick, rate, name, work_dir"),
        (["--later", "6"], "unknown option --later"),
        (["--_hidden", "6"], "unknown option --_hidden"),
        (["--n*", "6"], "unknown option --n*"),
        (["word", "--nj", "8"], "'word' belongs to no option"),
        (["--nj", "8", "word"], "'word' belongs to no option"),
        (["-n", "8"], "'-n' belongs to no option"),
        (["--"], "'--' belongs to no option"),
    ],
)
def test_a_wrong_option_is_an_error(script, options, message):
    code, output = script(*options)
    assert code == 1 and message in output
    assert "nj=4" not in output


def test_help_is_made_of_the_comments_and_shows_defaults(script):
    code, output = script("--nj", "8", "--help")
    assert code == 0
    assert output.startswith("A trial.\n")
    assert "--nj               jobs that run at once [4]\n" in output
    assert "--rate             a word about the rate [1e-4]\n" in output
    assert "later" not in output and "hidden" not in output


def test_a_config_file_is_read_as_data(script, tmp_path):
    config = tmp_path / "my.conf"
    config.write_text("# sizes\nnj=8\n\nname=$(touch no)\n")
    code, output = script("--config", str(config), "--rate", "3")
    assert code == 0 and "nj=8 " in output and "name=$(touch no) " in output and "rate=3" in output
    config.write_text("nj=8\nnjj=3\n")
    assert (
        f"{config}:2: unknown option --njj, did you mean 'nj'?" in script(f"--config={config}")[1]
    )
    assert "cannot read" in script("--config", str(tmp_path / "none"))[1]
