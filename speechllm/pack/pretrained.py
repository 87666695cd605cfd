"""Pretrained models of a packed one: copied inside (carried), or referred to and checked."""

import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.files.guarded import guarded
from speechllm.files.own import PACKED_AGAIN, read_mapping
from speechllm.files.strict_yaml import YamlError, load_yaml
from speechllm.imported import in_words, source_of
from speechllm.pack.manifest import Pretrained
from speechllm.pretrained import fetch, hub_commit, resolve_folder, weights_hash

log = logging.getLogger(__name__)

Carry = Literal["local", "all", "none"]
"""Pretrained models to copy into the packed folder: those given as folders (`local`), those of the
hub too (`all`), or none."""

CARRIED = {".safetensors", ".json", ".txt", ".model", ".tiktoken", ".jinja"}
"""File endings of weights, settings and tokenizers; no programs and no pickles."""
LICENCES = ("licence*", "license*", "notice*", "readme.md", "use_policy*")


def describe(name: str, key: str, out: Path, carry: Carry) -> tuple[Pretrained, Path]:
    """Make a pretrained model's entry in the manifest; also return the folder where it is now.

    Args:
        name: folder or hub id.
        key: key of ModelConfig, e.g. "encoder".
        out: the packed folder.
        carry: which models are copied into `out`.

    Raises:
        ConfigError: there is no such model, or it cannot be copied.
    """
    folder = resolve_folder(name, f"model.{key}")
    is_local = Path(name).is_dir()
    common = {
        "name": Path(name).name if is_local else name,
        "revision": None if is_local else hub_commit(folder),
        "licence": licence_of(folder),
        "source": in_words(source) if (source := source_of(folder)) else None,
    }
    carried = carry == "all" or (carry == "local" and is_local)
    if carried:
        _check_carriable(name, key, folder)
    log.info("%s: hashing the weights of %s", key, name)
    common["sha256"] = weights_hash(folder)
    if carried:
        return Pretrained(place="carried", path=f"pretrained/{key}", **common), folder
    if is_local:
        path = Path(os.path.relpath(folder.resolve(), out.resolve())).as_posix()
        return Pretrained(place="folder", path=path, **common), folder
    return Pretrained(place="hub", **common), folder


def copy_model(source: Path, target: Path) -> None:
    """Copy the files that `CARRIED` and `LICENCES` name; log the others."""
    target.mkdir(parents=True)
    files = {path for path in source.iterdir() if path.is_file() and path.suffix in CARRIED}
    files |= set(licence_files(source))
    for path in files:
        shutil.copyfile(path, target / path.name)
    behind = sorted(path.name for path in source.iterdir() if path not in files)
    if behind:
        log.info("%s: not carried: %s", source, ", ".join(behind))


def _check_carriable(name: str, key: str, folder: Path) -> None:
    if "auto_map" in read_mapping(folder / "config.json"):
        raise ConfigError(
            f"model.{key}: {name} needs code of its own, which is never packed",
            "refer to it instead: --carry none",
        )
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"model.{key}: {name} holds no weights as safetensors, and pickles are never packed",
            "load it with transformers and save it with save_pretrained, or give --carry none",
        )


def locate(packed: Path, key: str, model: Pretrained) -> Path:
    """Find the folder of a pretrained model, and check that its weights are those of the manifest.

    For a commit of the hub, the commit is enough. For any other model, the weights are hashed.

    Args:
        packed: the packed folder.
        key: key of ModelConfig, e.g. "encoder".
        model: its entry in the manifest.

    Raises:
        SpeechLLMError: it is missing, cannot be fetched, has other weights, or a carried one holds
            files that are never packed.
    """
    if model.place == "hub":
        at = f" at {model.revision}" if model.revision else ""
        try:
            folder = fetch(model.name, model.revision)
        except (OSError, ValueError) as error:  # base classes of the hub client's errors
            raise SpeechLLMError(
                f"{packed} stands on {key} {model.name}{at} of the hub, which cannot be fetched "
                f"({type(error).__name__})",
                f"fetch it where there is a network: hf download {model.name}"
                + (f" --revision {model.revision}" if model.revision else "")
                + "; for a gated model run `hf auth login`; or pack with --carry all",
            ) from error
        if model.revision:
            return folder
    else:
        folder = packed / str(model.path)
        if not (folder / "config.json").is_file():
            raise SpeechLLMError(
                f"{packed} stands on {key} '{model.name}' in {folder}, which is not there",
                "copy the whole packed folder again"
                if model.place == "carried"
                else "move both together, or pack with --carry local",
            )
        if model.place == "carried":
            _refuse_programs(folder)
    with guarded(folder, "weights cannot be read"):
        found = weights_hash(folder)
    if found != model.sha256:
        raise SpeechLLMError(
            f"{folder} holds other weights than the {key} that {packed} was made with",
            PACKED_AGAIN if model.place == "carried" else "restore it, or train and pack again",
        )
    return folder


def _refuse_programs(folder: Path) -> None:
    licences = set(licence_files(folder))
    odd = [p.name for p in folder.iterdir() if p.suffix not in CARRIED and p not in licences]
    if odd:
        raise SpeechLLMError(
            f"{folder} holds what no packed model has: {', '.join(sorted(odd))}",
            "remove it if you know where it comes from",
        )


def licence_of(folder: Path) -> str | None:
    """Licence of a model, from its import record, its card's tag or the title of a licence file."""
    source = source_of(folder)
    if source and isinstance(source.get("licence"), str):
        return source["licence"]
    card = folder / "README.md"
    if card.is_file():
        front = re.match(
            r"---\n(.*?)\n---", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL
        )
        try:
            values = load_yaml(front[1]) if front else None
        except YamlError:
            values = None
        if isinstance(values, dict):
            stated = values.get("license_name") or values.get("license")
            if isinstance(stated, str):
                return stated
    for path in sorted(licence_files(folder)):
        if path.name.lower().startswith("licen"):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            title = next((line.strip() for line in lines if line.strip()), None)
            if title:
                return f"{title} ({path.name})"
    return None


def licence_files(folder: Path) -> Iterator[Path]:
    """Files of a model's folder that state its licence, its card among them."""
    for path in folder.iterdir():
        name = path.name.lower()
        if path.is_file() and any(Path(name).match(pattern) for pattern in LICENCES):
            yield path
