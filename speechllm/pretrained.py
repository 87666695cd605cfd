"""Pretrained models by folder or hub id: where their files are, and which weights they hold."""

import re
from functools import lru_cache
from pathlib import Path

from speechllm.errors import ConfigError
from speechllm.files import sha256_of


def resolve_folder(name: str, key: str) -> Path:
    """The local folder of a model; a hub id is fetched, or found in the hub's cache.

    Args:
        name: a folder or a hub id.
        key: the config key that named it, for the error message.

    Raises:
        ConfigError: no such folder, and no such model within reach.
    """
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ConfigError(f"{key}: the folder {name} holds no config.json")
        return folder
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, ignore_patterns=["*.msgpack", "*.h5", "*.onnx"]))
    except (OSError, ValueError) as error:  # what the hub's client raises derives from these
        raise ConfigError(
            f"{key}: '{name}' is neither a folder nor a model that can be fetched "
            f"({type(error).__name__})",
            "check the spelling; for a gated model run `hf auth login`; without a network, "
            "give the folder of a copy",
        ) from error


@lru_cache
def encoder_key(name: str) -> dict[str, str]:
    """What an encoder's output depends on: its id, and the hash of its weights and settings."""
    folder = resolve_folder(name, "model.encoder")
    files = [*folder.glob("*.safetensors"), *folder.glob("*.bin")]
    files += [folder / "config.json", folder / "preprocessor_config.json"]
    return {"encoder": name, "sha256": sha256_of([f for f in files if f.is_file()])}


def encoder_id(name: str) -> str:
    """An encoder's name as the name of a folder below dump/."""
    return Path(name).name if Path(name).is_dir() else re.sub(r"[^\w.-]+", "--", name)
