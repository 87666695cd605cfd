"""Kaldi -> format -> Kaldi gives equal files, or the format refuses."""

from pathlib import Path

import pytest

from speechllm.data.exchange import formats
from speechllm.data.exchange.exporting import export_set
from speechllm.data.exchange.importing import import_set
from speechllm.errors import DataError

TARGETS = {
    "csv": "set.csv",
    "hf": "set",
    "jsonl": "set.jsonl",
    "lhotse": "set",
    "nemo": "set.json",
    "slam": "set.jsonl.gz",
    "tsv": "set.tsv",
}


def files(path: Path) -> dict[str, str]:
    return {p.name: p.read_text(encoding="utf-8") for p in path.iterdir() if p.is_file()}


def there_and_back(name: str, data: Path, out: Path, **options) -> dict[str, str]:
    if name == "hf":
        pytest.importorskip("datasets")
    form = formats.get(name)
    target = out / "exported" / TARGETS[name]
    export_set(data, form, target, **options)
    back = out / "back"
    root = target if target.is_dir() else target.parent
    import_set(form.read(target), back, audio_root=root)
    assert not list(target.parent.glob(".*")), "something temporary was left"
    return files(back)


def test_every_format_is_tried_here():
    assert formats.names() == sorted(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_whole_files_come_back_equal(name, whole_set, tmp_path):
    assert there_and_back(name, whole_set, tmp_path) == files(whole_set)


@pytest.mark.parametrize("name", sorted(TARGETS.keys() - {"slam"}))
def test_cuts_come_back_equal(name, cut_set, tmp_path):
    back = there_and_back(name, cut_set, tmp_path)
    assert back == files(cut_set)
    assert back["segments"] == (
        "a-1 rec_a 0.1000 0.3000\na-2 rec_a 0.3125 3.0200\nb-1 rec_b 1.2500 -1\n"
    )


@pytest.mark.parametrize("name", sorted(TARGETS.keys() - {"lhotse"}))
def test_sets_of_text_come_back_equal(name, text_set, tmp_path):
    assert there_and_back(name, text_set, tmp_path) == files(text_set)


@pytest.mark.parametrize("name", TARGETS)
def test_a_set_without_durations_gains_none(name, whole_set, tmp_path):
    (whole_set / "utt2dur").unlink()
    assert there_and_back(name, whole_set, tmp_path) == files(whole_set)


@pytest.mark.parametrize("name", TARGETS)
def test_times_keep_every_digit(name, cut_set, whole_set, tmp_path):
    (whole_set / "utt2dur").write_text("a-1 1.0000625\na-2 0.99993749\nb-1 1.0000\n")
    assert there_and_back(name, whole_set, tmp_path / "w")["utt2dur"] == (
        "a-1 1.0000625\na-2 0.99993749\nb-1 1.0000\n"
    )


@pytest.mark.parametrize("name", TARGETS)
def test_relative_paths_move_with_the_audio(name, whole_set, tmp_path, monkeypatch):
    """A wav.scp that starts at the recipe's folder comes back as it was, seen from there."""
    monkeypatch.chdir(tmp_path)
    lines = (whole_set / "wav.scp").read_text().replace(f"{tmp_path}/", "")
    (whole_set / "wav.scp").write_text(lines)
    back = there_and_back(name, whole_set.relative_to(tmp_path), Path("out"), relative_paths=True)
    assert back["wav.scp"] == lines and not lines.startswith("a-1 /")


def test_what_a_format_cannot_hold_is_refused(cut_set, text_set, whole_set, tmp_path):
    with pytest.raises(DataError, match="slam cannot hold parts of recordings") as caught:
        export_set(cut_set, formats.get("slam"), tmp_path / "x.jsonl")
    assert "--audio_dir" in (caught.value.remedy or "")
    with pytest.raises(DataError, match="lhotse cannot hold utterances without audio"):
        export_set(text_set, formats.get("lhotse"), tmp_path / "x")
    wav = (whole_set / "wav.scp").read_text().splitlines()
    (whole_set / "wav.scp").write_text(
        "\n".join([f"{wav[0]}", *(f"{w} |" for w in wav[1:])]) + "\n"
    )
    for name in TARGETS:
        if name != "hf":
            with pytest.raises(DataError, match=r"commands are not allowed: 2 \(a-2, b-1\)"):
                export_set(whole_set, formats.get(name), tmp_path / "x")
    with pytest.raises(DataError, match=r"nemo cannot hold shell commands: 2 \(a-2, b-1\)"):
        export_set(whole_set, formats.get("nemo"), tmp_path / "x", allow_pipes=True)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["csv", "jsonl", "lhotse"])
def test_commands_come_back_where_they_are_allowed(name, whole_set, tmp_path):
    lines = (whole_set / "wav.scp").read_text().splitlines()
    commands = "".join(f"{k} cat {path} |\n" for k, path in map(str.split, lines))
    (whole_set / "wav.scp").write_text(commands)
    form, target = formats.get(name), tmp_path / TARGETS[name]
    options = {"allow_pipes": True} if name == "lhotse" else {}
    export_set(whole_set, form, target, allow_pipes=True, options=options)
    with pytest.raises(DataError, match="a-1: shell commands are not allowed"):
        import_set(form.read(target), tmp_path / "back", audio_root=tmp_path)
    assert not (tmp_path / "back").exists()
    import_set(form.read(target), tmp_path / "back", audio_root=tmp_path, allow_pipes=True)
    assert files(tmp_path / "back") == files(whole_set)


def test_a_time_that_no_time_is_written_as_names_its_table(cut_set, tmp_path):
    table = cut_set / "segments"
    table.write_text(table.read_text().replace("0.1000", "1e-400"))
    with pytest.raises(DataError, match="segments: a-1: not a number of seconds: '1e-400'"):
        export_set(cut_set, formats.get("csv"), tmp_path / "set.csv")
