"""key=value is a change of the config wherever it stands, and never a data dir."""

from pathlib import Path

import pytest

from speechllm import cli
from speechllm.commands.options import register

# Every command with a list before its changes, as short as it can be called.
CALLS = {
    "base": "--config c --dump d --exp e --train a b {} --dev x {}",
    "adapt": "--config c --base b --dump d --exp e --source a {} --target b --target_dev {}",
    "decode": "--config c --model m --dump d {} --data a b {} --exp e",
    "lm": "--config c --exp e --text a {} --dev b {}",
    "info": "c --data a {} --base b {}",
    "compare": "plan --base b --config c --targets x {} --base b {}",
    "transcribe": "--model m a.wav {} --device cpu {}",
    "serve": "--model m {} --port 0 {}",
}


def parse(command: str, words: str):
    return cli.parse(command, register.load_command(command), words.split())


@pytest.mark.parametrize("command", CALLS)
def test_a_change_behind_a_list_is_a_change(command: str) -> None:
    args = parse(command, CALLS[command].format("beam=1", "a.b=x//y"))
    assert args.overrides == ["beam=1", "a.b=x//y"]
    assert not any("=" in str(value) for name, value in vars(args).items() if name != "overrides")


def test_every_command_that_takes_changes_is_among_these() -> None:
    for command in cli.COMMANDS:
        place = register.place_of(command).replace(".", "/")
        source = Path(cli.__file__).with_name("commands") / f"{place}.py"
        assert (command in CALLS) == (
            '"overrides"' in source.read_text() or command == "transcribe"
        )


def test_a_list_of_changes_alone_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("decode", "--config c --model m --dump d --data beam=1")
    assert "--data: expected at least one argument" in capsys.readouterr().err


def test_a_file_of_that_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a=b").mkdir()
    args = parse("decode", "--config c --model m --dump d --data a=b beam=1")
    assert (args.data, args.overrides) == ([Path("a=b")], ["beam=1"])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            "data check data/x model.task=slu",
            "if it is a change of the config: --set model.task=slu",
        ),
        ("data fix data/x allow_pipes=1", "this command has none to change"),
        ("perplexity --model m --data a beam=1", "this command has none to change"),
    ],
)
def test_what_cannot_be_a_change_is_refused(
    call: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command, words = register.find_command(call.split())
        cli.parse(command, register.load_command(command), words)
    assert said in capsys.readouterr().err


def test_a_change_may_be_longer_than_a_file_name() -> None:
    long = "rescore.prompt=" + "x" * 5000
    assert parse("decode", f"--config c --model m --dump d --data a {long}").overrides == [long]
