"""The commands `import` and `export` as they are typed."""

import importlib
import inspect
import json

import pytest

from speechllm import cli
from speechllm.commands.options.formats import OPTIONS
from speechllm.data.dirs.kaldi import read_table
from speechllm.data.exchange import formats


def failing(capsys, *argv: str) -> str:
    with pytest.raises(SystemExit):
        cli.main(list(argv))
    return capsys.readouterr().err


@pytest.mark.parametrize("name", formats.names())
def test_every_format_is_whole_and_its_options_are_known(name, capsys):
    form = formats.get(name)
    assert form.SUMMARY and form.__doc__ and isinstance(form.FOLDER, bool)
    for function, command in ((form.read, "import"), (form.write, "export")):
        parameters = inspect.signature(function).parameters.values()
        named = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
        assert named <= {*OPTIONS, "allow_pipes"}
        with pytest.raises(SystemExit) as caught:
            cli.main([command, name, "--help"])
        assert caught.value.code == 0
        shown = capsys.readouterr().out
        assert all(f"--{option}" in shown for option in named)


def test_there_and_back(make_data_dir, tmp_path, capsys):
    data = make_data_dir()
    manifest, back = tmp_path / "x/train.json", tmp_path / "back"
    cli.main(["data", "export", "nemo", str(data), str(manifest), "--relative_paths"])
    assert f"{manifest}: 3 utterances\n" in capsys.readouterr().out
    assert json.loads(manifest.read_text().splitlines()[0]) == {
        "id": "utt1",
        "audio_filepath": "../wav/set_train/utt1.wav",
        "duration": 1.0,
        "text": "hello world",
        "speaker": "spk0",
    }
    cli.main(["data", "import", "nemo", str(manifest), str(back)])
    out = capsys.readouterr().out
    assert out == f"{back}: 3 utterances: text wav.scp utt2spk spk2utt utt2dur\n"
    assert {p.name: p.read_bytes() for p in back.iterdir()} == {
        p.name: p.read_bytes() for p in data.iterdir()
    }


def test_options_of_a_table(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("name;words;lang\nx;one two;en\n")
    argv = ["data", "import", "csv", f"{tmp_path}/t.csv", f"{tmp_path}/set", "--delimiter", ";"]
    cli.main([*argv, "--columns", "id=name", "text=words", "--keep", "lang"])
    assert read_table(tmp_path / "set/text") == {"x": "one two"}
    assert read_table(tmp_path / "set/lang") == {"x": "en"}
    argv = [
        "data",
        "export",
        "tsv",
        f"{tmp_path}/set",
        f"{tmp_path}/t.tsv",
        "--columns",
        "text=words",
    ]
    cli.main(argv)
    header, row = (tmp_path / "t.tsv").read_text().splitlines()
    assert header.split("\t")[2] == "words" and header.split("\t")[-1] == "tables.lang"
    assert row.split("\t")[:3] == ["x", "", "one two"]


def test_cuts_are_written_as_files_for_slam(make_data_dir, tmp_path, capsys):
    data = make_data_dir(
        text={"u1": "one"}, segments={"u1": ("u1", 0.25, 0.75)}, utt2dur={"u1": 0.5}
    )
    argv = ["data", "export", "slam", str(data), f"{tmp_path}/x.jsonl"]
    error = failing(capsys, *argv)
    assert "segments: slam cannot hold parts of recordings\n  -> --audio_dir DIR" in error
    cli.main([*argv, "--audio_dir", f"{tmp_path}/cuts"])
    row = json.loads((tmp_path / "x.jsonl").read_text())
    assert row["source"] == f"{tmp_path}/cuts/u1.flac" and row["target"] == "one"
    cli.main(["data", "import", "slam", f"{tmp_path}/x.jsonl", f"{tmp_path}/set"])
    cli.main(["data", "check", f"{tmp_path}/set"])
    assert "0 errors" in capsys.readouterr().out


def test_mistakes(tmp_path, capsys):
    assert "invalid choice: 'nemmo'" in failing(capsys, "data", "import", "nemmo", "a", "b")
    error = failing(capsys, "data", "import", "slam", "a", "b", "--delimiter", ";")
    assert "--delimiter" in error
    error = failing(capsys, "data", "import", "csv", "a", "b", "--columns", "text")
    assert "--columns takes words field=column, not text" in error
    error = failing(capsys, "data", "import", "csv", "a", "b", "--delimiter", "ab")
    assert "one character is needed, not 'ab'" in error
    error = failing(capsys, "data", "import", "csv", f"{tmp_path}/none.csv", f"{tmp_path}/b")
    assert error.endswith(f"error: {tmp_path}/none.csv: no such file\n")


def test_the_module_of_a_keyword_is_found_by_its_name():
    assert importlib.import_module("speechllm.commands.data.import").run
