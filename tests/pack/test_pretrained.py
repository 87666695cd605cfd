"""What a packed model stands on: carried, referred to, found again, and checked."""

import json
import logging
from pathlib import Path

import pytest

from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.pack import pretrained
from speechllm.pack.pretrained import copy_model, describe, licence_of, locate
from speechllm.pretrained import weights_hash

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "some/encoder"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "LICENSE").write_text("\n  The Speech Licence\nAll is allowed.\n")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "modeling.py").write_text("print('run')")
    return folder


@pytest.fixture
def hub(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """A hub that has the model as org/speech; what was asked of it."""
    asked = []
    snapshot = tmp_path / "cache/models--org--speech/snapshots" / COMMIT
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(model)

    def fetch(name: str, revision: str | None = None, **_: object) -> Path:
        asked.append((name, revision))
        if name != "org/speech":
            raise OSError("no network")
        return snapshot

    monkeypatch.setattr("speechllm.pretrained.fetch", fetch)
    monkeypatch.setattr(pretrained, "fetch", fetch)
    return asked


def test_a_folder_is_carried_without_programs_and_pickles(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    packed = tmp_path / "packed"
    found, folder = describe(str(model), "encoder", packed, "local")
    assert found.place == "carried" and found.path == "pretrained/encoder"
    assert found.name == "encoder" and found.licence == "The Speech Licence (LICENSE)"
    with caplog.at_level(logging.INFO, "speechllm"):
        copy_model(folder, packed / found.path)
    assert "not carried: modeling.py, pytorch_model.bin" in caplog.text
    carried = {path.name for path in (packed / "pretrained/encoder").iterdir()}
    assert carried == {"config.json", "model.safetensors", "tokenizer.json", "LICENSE"}
    assert locate(packed, "encoder", found) == packed / "pretrained/encoder"


def test_carried_weights_that_changed_or_are_gone_are_refused(model: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    found, _ = describe(str(model), "encoder", packed, "local")
    with pytest.raises(SpeechLLMError, match=r"not there\n  -> copy the whole packed folder"):
        locate(packed, "encoder", found)
    copy_model(model, packed / found.path)
    (packed / found.path / "model.safetensors").write_bytes(b"others")
    with pytest.raises(SpeechLLMError, match="other weights"):
        locate(packed, "encoder", found)


def test_weights_that_cannot_be_read_are_an_error(model: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    found, folder = describe(str(model), "encoder", packed, "local")
    copy_model(folder, packed / str(found.path))
    weights = packed / "pretrained/encoder/model.safetensors"
    weights.unlink()
    weights.symlink_to("missing")
    with pytest.raises(SpeechLLMError, match="pretrained/encoder: cannot be read"):
        locate(packed, "encoder", found)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "modeling.py", "run.sh", "x.pkl"])
def test_a_program_among_what_is_carried_is_refused(model: Path, tmp_path: Path, name: str) -> None:
    packed = tmp_path / "packed"
    found, _ = describe(str(model), "encoder", packed, "local")
    copy_model(model, packed / found.path)
    (packed / found.path / name).write_text("x")
    with pytest.raises(SpeechLLMError, match=f"no packed model has: {name}"):
        locate(packed, "encoder", found)


def test_a_folder_that_is_not_carried_is_referred_to_by_its_way(
    model: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "exp/packed"
    packed.mkdir(parents=True)
    found, _ = describe(str(model), "encoder", packed, "none")
    assert (found.place, found.path) == ("folder", "../../some/encoder")
    assert locate(packed, "encoder", found).resolve() == model
    model.rename(model.with_name("moved"))
    with pytest.raises(SpeechLLMError, match=r"pack with --carry local"):
        locate(packed, "encoder", found)


def test_a_model_of_the_hub_is_referred_to_by_its_commit(hub: list, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    found, folder = describe("org/speech", "llm", packed, "local")
    assert (found.name, found.place, found.path) == ("org/speech", "hub", None)
    assert found.revision == COMMIT and found.sha256 == weights_hash(folder)
    locate(packed, "llm", found)
    assert hub[-1] == ("org/speech", COMMIT)
    assert describe("org/speech", "llm", packed, "all")[0].place == "carried"


def test_a_hub_out_of_reach_names_the_id_and_the_remedy(hub: list, tmp_path: Path) -> None:
    found, _ = describe("org/speech", "llm", tmp_path, "local")
    gone = found.model_copy(update={"name": "org/gone"})
    with pytest.raises(SpeechLLMError) as caught:
        locate(tmp_path, "llm", gone)
    assert f"llm org/gone at {COMMIT} of the hub" in str(caught.value)
    assert f"hf download org/gone --revision {COMMIT}" in str(caught.value)


def test_what_needs_code_of_its_own_or_a_pickle_cannot_be_carried(
    model: Path, tmp_path: Path
) -> None:
    (model / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "m.M"}}))
    with pytest.raises(ConfigError, match=r"code of its own.*\n  -> .*--carry none"):
        describe(str(model), "encoder", tmp_path, "local")
    assert describe(str(model), "encoder", tmp_path, "none")[0].place == "folder"
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match="pickles are never packed"):
        describe(str(model), "encoder", tmp_path, "local")


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\ntags: [x]\n---\n# Model\n", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: llama3.2\n---\n", "llama3.2"),
        ("# Model\nlicense: mit\n", "The Speech Licence (LICENSE)"),
        ("---\n: broken: [\n---\n", "The Speech Licence (LICENSE)"),
    ],
)
def test_the_licence_is_what_the_folder_states(model: Path, card: str, licence: str) -> None:
    (model / "README.md").write_text(card)
    assert licence_of(model) == licence


def test_a_folder_that_states_no_licence_has_none(model: Path) -> None:
    (model / "LICENSE").unlink()
    assert licence_of(model) is None
