"""What a remedy names is there: commands, their options, stages; and `speechllm data fix` mends.

Remedies that are commands of other tools are run where their readers are tested (test_utf8,
test_kaldi, test_lhotse).
"""

import argparse
import ast
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

import speechllm
from speechllm import cli
from speechllm.commands.options import register
from speechllm.commands.options.parser import Parser
from speechllm.data.check.validate import check_data_dir
from speechllm.data.dirs.kaldi import DataDir, read_table
from speechllm.data.dirs.tables import NO_TEXT
from speechllm.errors import DataError
from speechllm.recipe.stages import STAGES

PACKAGE = Path(speechllm.__file__).parent


def strings() -> Iterator[tuple[str, str]]:
    """(place, text) of every string of the package; what is filled in shows as {}."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
                yield f"{path.name}:{node.lineno}", "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.name}:{node.lineno}", node.value


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Options of a command and of its actions."""
    found: set[str] = set()
    for action in parser._actions:
        found.update(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            found = found.union(*map(options_of, action.choices.values()))
    return found


def parsers() -> dict[str, set[str]]:
    options = {}
    for name in cli.COMMANDS:
        parser = Parser()
        register.load_command(name).add_arguments(parser)
        options[name] = options_of(parser) | {"--debug"}
    return options


def test_a_command_that_is_named_is_there_with_its_options() -> None:
    known = parsers()
    odd, named = [], 0
    for place, text in strings():
        for call in re.finditer(r"speechllm ([a-z][a-z_-]*[a-z])((?: (?:--\w+|\S+))*)", text):
            if text[: call.start()].endswith(("from ", "import ", "by ", "of ")):
                continue
            assert call[1].replace("-", "_") not in register.OLD, f"{place}: {call[0]}"
            name, _ = register.find_command([call[1], *re.findall(r"\w+", call[2])[:1]])
            options = re.findall(r"(?<= )--[a-z_]+", call[2])
            if name in known:
                named += 1
                odd += [f"{place}: {name} {o}" for o in options if o not in known[name]]
            elif options or f"`{call[0].split(' --')[0]}" in text:
                odd.append(f"{place}: {call[0]}")
    assert odd == [] and named > 20


def test_an_option_that_is_named_is_one_of_a_command() -> None:
    every = set().union(*parsers().values())
    recipe = set(re.findall(r"^(\w+)=", "\n".join(p.read_text() for p in recipes()), re.MULTILINE))
    others = re.compile(
        r"\b(?:pip|hf|git|sox|lhotse|llama-gguf-split|docker|torchrun|vllm) |--revision"
    )
    not_ours = ("cli.py", "environment.py", "resources.py", "scheduler.py", "slurm.py")  # Slurm's
    odd = [
        f"{place}: {option}"
        for place, text in strings()
        if not (others.search(text) or "\n" in text or place.startswith(not_ours))
        for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9_]+", text)
        if option not in every and option[2:] not in recipe
    ]
    assert odd == []


def recipes() -> list[Path]:
    root = PACKAGE.parent
    found = [*root.glob("utils/*.sh"), *root.glob("egs/*/*.sh"), *root.glob("egs/*/local/*.*")]
    copied = f"{root}/egs/copy_"  # by a test that runs at the same time
    return [p for p in found if p.suffix in (".sh", ".py") and not str(p).startswith(copied)]


def test_a_stage_that_is_named_has_that_number() -> None:
    numbers = {stage.name: stage.label for stage in STAGES}
    said = [
        (place, number, name)
        for place, text in strings()
        for number, name in re.findall(r"stage (\d\w?) \((\w+)\)", text)
    ]
    assert len(said) > 5
    assert [s for s in said if numbers.get(s[2]) != s[1]] == []
    named = [(p, n) for p, text in strings() for n in re.findall(r"--stage (\w+)", text)]
    assert [n for n in named if n[1] not in numbers] == []


def lines(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        kept = (path / name).read_text().splitlines()
        (path / name).write_text("".join(f"{line}\n" for line in change(kept)))

    return edit


def audio(samples: int = 16000, value: float = 0.1, **options: str) -> Callable[[Path], None]:
    """Another recording for the first utterance."""

    def write(path: Path) -> None:
        file = read_table(path / "wav.scp")["utt1"]
        soundfile.write(file, np.full(samples, value, np.float32), 16000, **options)

    return write


def cut_off(path: Path) -> None:
    file = Path(read_table(path / "wav.scp")["utt1"])
    file.write_bytes(file.read_bytes()[:2000])


FAULTS = {
    "unsorted": lines("text", lambda all_: all_[::-1]),
    "twice": lines("text", lambda all_: [all_[0], *all_]),
    "empty line": lines("text", lambda all_: [*all_, ""]),
    "Windows line ends": lines("utt2spk", lambda all_: [f"{line}\r" for line in all_]),
    "text without audio": lines("wav.scp", lambda all_: all_[1:]),
    "audio without text": lines("text", lambda all_: all_[1:]),
    "empty transcript": lines("text", lambda all_: ["utt1", *all_[1:]]),
    "no speaker": lines("utt2spk", lambda all_: all_[1:]),
    "speakers disagree": lines("spk2utt", lambda all_: ["someone utt1"]),
    "no speakers": lambda path: (path / "utt2spk").unlink(),
    "durations disagree": lines("utt2dur", lambda all_: ["utt1 7.5", *all_[1:]]),
    "no duration": lines("utt2dur", lambda all_: all_[1:]),
    "no number": lines("utt2dur", lambda all_: ["utt1 long", *all_[1:]]),
    "entities of nobody": lambda path: (path / "entities").write_text("nobody []\n"),
    "an odd line end": lines("text", lambda all_: [f"{all_[0]}\x85x", *all_[1:]]),
    "no audio file": lines("wav.scp", lambda all_: ["utt1 none.wav", *all_[1:]]),
    "no sample": audio(0),
    "too short": audio(10),
    "NaN": audio(value=float("nan"), subtype="FLOAT"),
    "cut off": cut_off,
}


@pytest.mark.parametrize("space", ["", " "])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_check_advises_mends(
    make_data_dir: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    fault: str,
    full: bool,
    space: str,
) -> None:
    path = make_data_dir(f"a{space}set")
    FAULTS[fault](path)
    for _ in range(4):  # one may show the next
        errors = [c for c in check_data_dir(path, full=full) if c.severity == "error"]
        if not errors:
            break
        advice = errors[0].remedy
        command = re.search(r"speechllm data fix [^;]*", advice)
        if command is None:  # of what only a person can mend, as text that is missing
            assert "correct the path" in advice
            lines("wav.scp", lambda all_: [line for line in all_ if "none.wav" not in line])(path)
            continue
        words = shlex.split(command[0])
        cli.main(words[1:])
        assert str(path) in capsys.readouterr().out
    assert [c.message for c in check_data_dir(path, full=full) if c.severity == "error"] == []


@pytest.mark.parametrize("fault", ["text without audio", "audio without text", "no speaker"])
def test_what_loading_advises_mends(make_data_dir: Callable[..., Path], fault: str) -> None:
    path = make_data_dir("a set")
    FAULTS[fault](path)
    with pytest.raises(DataError) as caught:
        DataDir.load(path)
    cli.main(shlex.split(caught.value.remedy)[1:])
    DataDir.load(path)


def test_a_data_dir_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none: no such data dir\n  -> check the path"):
        DataDir.load(tmp_path / "none")
    with pytest.raises(DataError) as caught:
        DataDir.load(tmp_path)
    assert caught.value.remedy == NO_TEXT


def test_an_extra_that_is_named_is_one() -> None:
    extras = re.findall(
        r'^        "(\w+)": \[', (PACKAGE.parent / "setup.py").read_text(), re.MULTILINE
    )
    said = {e for _, text in strings() for e in re.findall(r"speechllm\[(\w+)\]", text)}
    assert len(said) > 3 and said <= set(extras)
