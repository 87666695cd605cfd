"""Models that are not there, not within reach, or not allowed: key and remedy, each time."""

import json
import logging
from pathlib import Path

import pytest

from speechllm.config import ModelConfig
from speechllm.errors import ConfigError
from speechllm.model.encoder.encoder import Encoder
from speechllm.model.llm import load_llm, load_tokenizer
from speechllm.pretrained import encoder_id, encoder_key, resolve_folder
from tests.helpers.architectures import ENCODERS
from tests.helpers.tiny import make_ctc_encoder, make_encoder, make_llm


def hub_says(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Let the hub's client refuse in one of its ways."""
    from huggingface_hub import errors

    def refuse(*args, **kwargs):
        error = getattr(errors, kind)
        raise error.__new__(error, "no")  # some of them want the server's response

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("GatedRepoError", r"is gated.*accept it at https://huggingface\.co/owner/name"),
        ("RepositoryNotFoundError", r"has no such model.*private model run `hf auth login`"),
        (
            "LocalEntryNotFoundError",
            r"no folder 'owner/name'; the hub cannot be reached.*hf download owner/name",
        ),
    ],
)
def test_what_the_hub_refuses(kind: str, remedy: str, monkeypatch) -> None:
    hub_says(monkeypatch, kind)
    with pytest.raises(ConfigError, match=rf"(?s)model\.encoder: .*{remedy}"):
        resolve_folder("owner/name", "model.encoder")


def test_a_missing_folder_is_no_hub_id() -> None:
    with pytest.raises(ConfigError, match=r"(?s)there is no folder './no/such/place'.*relative"):
        resolve_folder("./no/such/place", "model.llm")


def test_a_folder_that_holds_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.llm: .*holds no config\.json"):
        resolve_folder(str(tmp_path), "model.llm")


@pytest.mark.parametrize(
    "described",
    [{"num_hidden_layers": 10**6}, {"text_config": {"hidden_size": 10**9}}, {"n_layer": 10**400}],
)
def test_a_model_larger_than_any_is_refused_before_it_is_built(described, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(described, default=str))
    with pytest.raises(ConfigError, match=r"config\.json: .* is the most\n  -> fetch"):
        resolve_folder(str(tmp_path), "model.llm")


def test_without_weights_only_what_describes_a_model_is_fetched(tmp_path, monkeypatch) -> None:
    asked = {}
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda name, **kw: asked.update(kw) or str(tmp_path)
    )
    resolve_folder("owner/name", "model.llm", weights=False)
    assert "*.json" in asked["allow_patterns"]
    assert not any("safetensors" in p or "bin" in p for p in asked["allow_patterns"])


CODE = """
from transformers import LlamaConfig, LlamaForCausalLM
class TheirConfig(LlamaConfig):
    model_type = "theirs"
class TheirLM(LlamaForCausalLM):
    config_class = TheirConfig
"""


def test_code_of_a_model_runs_only_if_it_is_trusted(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = make_llm(tmp_path / "llm")
    settings = json.loads((folder / "config.json").read_text())
    auto = {"AutoConfig": "theirs.TheirConfig", "AutoModelForCausalLM": "theirs.TheirLM"}
    settings |= {"model_type": "theirs", "architectures": ["TheirLM"], "auto_map": auto}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "theirs.py").write_text(CODE)
    config = ModelConfig(encoder="any", llm=str(folder))
    for load in (load_tokenizer, load_llm):
        with pytest.raises(ConfigError, match=r"(?s)model\.llm.*model\.trust_remote_code: true"):
            load(config)
    trusted = config.model_copy(update={"trust_remote_code": True})
    assert type(load_llm(trusted)).__name__ == "TheirLM"
    assert load_tokenizer(trusted).eos_token_id is not None


def test_code_of_an_encoder_too(tmp_path: Path) -> None:
    folder = make_encoder(tmp_path / "encoder")
    settings = json.loads((folder / "config.json").read_text())
    settings |= {"model_type": "theirs", "auto_map": {"AutoConfig": "theirs.TheirConfig"}}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "theirs.py").write_text("raise RuntimeError('it ran')")
    with pytest.raises(ConfigError, match=r"(?s)model\.encoder.*trust_remote_code: true"):
        Encoder(str(folder))


def test_settings_have_folders_of_their_own(tmp_path: Path) -> None:
    name = str(make_encoder(tmp_path / "encoder"))
    config = ModelConfig(encoder=name, llm="any")
    assert encoder_id(name, config.encoder_settings) == "encoder"
    other = ModelConfig(encoder=name, llm="any", encoder_window="cut", encoder_dtype="bfloat16")
    assert encoder_id(name, other.encoder_settings) == "encoder.cut.bfloat16"
    assert encoder_id("openai/whisper-tiny", {"window": "cut"}) == "openai--whisper-tiny.cut"


def test_the_key_follows_a_processor_s_settings(tmp_path: Path) -> None:
    """Processors save an extractor's settings in processor_config.json alone."""
    folder = ENCODERS["whisper"][0](tmp_path / "whisper")
    assert not (folder / "preprocessor_config.json").exists()
    before = encoder_key(str(folder))
    path = folder / "processor_config.json"
    path.write_text(path.read_text().replace('"hop_length": 160', '"hop_length": 320'))
    assert encoder_key(str(folder)) != before


@pytest.mark.parametrize("debug", [False, True])
def test_weights_are_loaded_without_bars_and_reports(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    debug: bool,
) -> None:
    """Of an encoder with a CTC head that is not wanted, and with a bar for its weights."""
    make_ctc_encoder(tmp_path)
    logger = logging.getLogger("speechllm")
    level = logger.level
    capfd.readouterr()
    try:
        logger.setLevel(logging.DEBUG if debug else logging.INFO)
        Encoder(str(tmp_path))
    finally:
        logger.setLevel(level)
    assert ("Loading weights" in capfd.readouterr().err) == debug
    assert ("UNEXPECTED" in caplog.text) == debug


def test_whatever_is_raised_while_loading_names_the_key(tmp_path):
    folder = make_llm(tmp_path / "llm")
    config = ModelConfig(encoder="none", llm=str(folder))
    damages = {"model.safetensors": load_llm, "config.json": load_llm}
    for name, load in {**damages, "tokenizer.json": load_tokenizer}.items():
        whole = (folder / name).read_bytes()
        for damaged in (b"", whole[: len(whole) // 2], b"[" * 9999, b"[]", b"\xff" * 99):
            (folder / name).write_bytes(damaged)
            with pytest.raises(ConfigError, match=r"model\.llm.*: ") as error:
                load(config)
            assert len(str(error.value)) < 1500
        (folder / name).write_bytes(whole)


def test_a_model_is_its_weights_and_what_is_computed_with_them_and_no_notes(tmp_path: Path) -> None:
    from speechllm.pretrained import model_files

    names = ["config.json", "tokenizer.json", "merges.txt", "model.safetensors", "chat.jinja"]
    for name in (*names, "LICENSE.txt", "README.md", "pytorch_model.bin"):
        (tmp_path / name).write_text("{}")
    assert model_files("llm", str(tmp_path)) == {f"llm/{name}": tmp_path / name for name in names}
    without = model_files("llm", str(tmp_path), weights=False)
    assert without.keys() == {f"llm/{name}" for name in names if name != "model.safetensors"}
