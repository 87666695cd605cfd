"""Finding and checking a model before it transcribes."""

import json
import shutil
from pathlib import Path

import pytest

import speechllm
from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.files.made_from import SUMS
from speechllm.pretrained import weights_hash
from speechllm.transcribe import load as module


@pytest.fixture
def copy(packed: Path, tmp_path: Path) -> Path:
    """A packed model to be damaged."""
    return Path(shutil.copytree(packed, tmp_path / "packed"))


def test_the_line_that_users_of_other_libraries_know(packed: Path, data: Path) -> None:
    from speechllm import SpeechLLM

    model = SpeechLLM.from_pretrained(packed, "music")
    wave = data / "wav/u-0.wav"
    assert (
        model.transcribe(wave)[0].text == speechllm.load(packed, "music").transcribe(wave)[0].text
    )
    with pytest.raises(AttributeError, match="no attribute 'SpechLLM'"):
        getattr(speechllm, "Spech" + "LLM")


def test_domains_are_listed_and_one_may_be_set_at_once(packed: Path, data: Path) -> None:
    model = speechllm.load(str(packed), domain="music")
    assert model.domains == ["base", "farm", "music"]
    (found,) = model.transcribe(data / "wav/u-0.wav")
    assert found.domain == "music"
    assert found.text == speechllm.load(packed).transcribe(data / "wav/u-0.wav", "music")[0].text


def test_a_wrong_domain_is_refused_before_anything_is_loaded(
    packed: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "load_bundle", None)
    with pytest.raises(ConfigError, match="no domain 'frm', did you mean 'farm'"):
        speechllm.load(packed, domain="frm")
    with pytest.raises(ConfigError, match="no domain 'music'; known: farm"):
        speechllm.load(base / "denoise_farm", domain="music")


def test_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(SpeechLLMError, match="there is no folder"):
        speechllm.load(tmp_path / "none")
    with pytest.raises(SpeechLLMError, match="holds no model"):
        speechllm.load(tmp_path)


def test_a_newer_format_is_refused(copy: Path) -> None:
    (copy / SUMS).unlink()  # that of a newer version would be in order
    for name in ("pack.json", "base/model.json"):
        before = (copy / name).read_text()
        (copy / name).write_text(json.dumps({**json.loads(before), "format": 2}))
        with pytest.raises(SpeechLLMError, match=r"of format 2; .*\n  -> update speechllm"):
            speechllm.load(copy)
        (copy / name).write_text(before)
    speechllm.load(copy)


def test_tensors_that_are_missing_or_changed_are_refused(copy: Path) -> None:
    tensors = copy / "domains/farm/trained.safetensors"
    content = tensors.read_bytes()
    tensors.write_bytes(content[:-1] + b"\x01")
    with pytest.raises(SpeechLLMError, match=r"farm/trained\.safetensors: has changed"):
        speechllm.load(copy)
    tensors.unlink()
    with pytest.raises(SpeechLLMError, match=r"farm/trained\.safetensors: no such file"):
        speechllm.load(copy)


@pytest.mark.parametrize("name", ["base/model.json", "pretrained/llm/tokenizer.json", "pack.json"])
def test_a_description_that_changed_is_refused(copy: Path, name: str) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content.rstrip() + b"\n\n")
    with pytest.raises(SpeechLLMError, match=f"{name}: has changed since it was packed"):
        speechllm.load(copy)
    (copy / name).write_bytes(content)
    (copy / "README.md").write_text("my own words")
    speechllm.load(copy)


def test_a_carried_model_that_is_gone_is_named(copy: Path) -> None:
    shutil.rmtree(copy / "pretrained/llm")
    with pytest.raises(SpeechLLMError, match="stands on llm 'llm'"):
        speechllm.load(copy)


def test_nothing_is_loaded_that_the_manifest_does_not_name(copy: Path) -> None:
    manifest = json.loads((copy / "pack.json").read_text())
    without = {k: v for k, v in manifest["pretrained"].items() if k != "llm"}
    (copy / "pack.json").write_text(json.dumps({**manifest, "pretrained": without}))
    with pytest.raises(SpeechLLMError, match=r"stands on what .*pack\.json does not name: llm"):
        speechllm.load(copy)
    (copy / "pack.json").write_text(json.dumps(manifest))
    description = json.loads((copy / "base/model.json").read_text())
    (copy / "base/model.json").write_text(json.dumps({**description, "parent": "../../x"}))
    with pytest.raises(SpeechLLMError, match="does not name: a parent"):
        speechllm.load(copy)


@pytest.mark.parametrize("bundle", ["base", "domains/farm"])
def test_code_of_the_models_is_refused_unless_trusted(copy: Path, bundle: str) -> None:
    (copy / "SHA256SUMS").unlink()  # as of an older version: a description is changed
    path = copy / bundle / "model.json"
    description = json.loads(path.read_text())
    description["model"]["trust_remote_code"] = True
    path.write_text(json.dumps(description))
    with pytest.raises(SpeechLLMError, match=r"code of their own.*\n  -> .*--trust_remote_code"):
        speechllm.load(copy)
    assert speechllm.load(copy, trust_remote_code=True).domains


CODE = """
from pathlib import Path
from transformers import LlamaConfig
class EvilConfig(LlamaConfig):
    Path("{proof}").touch()
"""


def test_code_that_a_carried_model_names_is_not_run(copy: Path, tmp_path: Path) -> None:
    """Whoever publishes a pack writes its hashes too."""
    (copy / "SHA256SUMS").unlink()
    llm, proof = copy / "pretrained/llm", tmp_path / "proof"
    config = json.loads((llm / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.EvilConfig", "AutoModelForCausalLM": "evil.Evil"}
    (llm / "config.json").write_text(json.dumps(config))
    manifest = json.loads((copy / "pack.json").read_text())
    manifest["pretrained"]["llm"]["sha256"] = weights_hash(llm)
    (copy / "pack.json").write_text(json.dumps(manifest))
    (llm / "evil.py").write_text(CODE.format(proof=proof))
    with pytest.raises(SpeechLLMError, match=r"what no packed model has: evil\.py"):
        speechllm.load(copy)
    (llm / "evil.py").rename(tmp_path / "evil.py")  # as the hub's is: it is never fetched
    assert speechllm.load(copy).domains and not proof.exists()
