"""Manifest of a packed folder: typed, and checked before anything in the folder is loaded.

pack.json                                       this description
base/{model.json,trained.safetensors}           bundle of the base
domains/<domain>/{model.json,trained.safetensors,training.json}
pretrained/<encoder|llm|speech_llm>/            pretrained models that were copied inside
README.md                                       model card
"""

import re
from pathlib import Path, PurePosixPath
from typing import Literal

from speechllm.config import Section, parse
from speechllm.data.dirs.ids import id_problem
from speechllm.decode.config import DecodeConfig
from speechllm.errors import DataError
from speechllm.files.layout import DESCRIPTION, TENSORS
from speechllm.files.made_from import broken_seals
from speechllm.files.own import PACKED_AGAIN, check_format, read_mapping
from speechllm.files.whole import sha256_of

MANIFEST = "pack.json"
FORMAT = 1
BASE = "base"
"""Domain name of the model that all others were adapted from."""
PRETRAINED = ("encoder", "llm", "speech_llm")
"""Keys of ModelConfig that name pretrained models."""
TRAINING = "training.json"
HUB_ID = re.compile(r"\w[\w-]*(\.[\w-]+)*(/\w[\w-]*(\.[\w-]+)*)?", re.ASCII)


class Pretrained(Section):
    """Pretrained model that a packed one needs."""

    name: str
    """Hub id, or name of its folder."""
    place: Literal["hub", "carried", "folder"]
    path: str | None = None
    """Path of its folder, relative to the packed folder; None for a model of the hub."""
    revision: str | None = None
    """Commit on the hub."""
    sha256: str
    """Hash of config.json and the weights (`speechllm.pretrained.weights_hash`)."""
    licence: str | None = None
    """Licence stated in its folder; None if it states none."""
    source: str | None = None
    """Source of an imported model, in words; None for others."""


class Trained(Section):
    """Bundle of a domain, and its origin."""

    run: str
    """Folder of the run below exp/."""
    method: str
    chosen: str
    """Reason why this run was chosen for its domain."""
    sha256: str
    """Hash of its tensors."""


class Manifest(Section):
    """Contents of pack.json."""

    format: int
    speechllm: str
    """Version of the toolkit that packed it."""
    pretrained: dict[str, Pretrained]
    domains: dict[str, Trained]
    decode: DecodeConfig
    """Settings of the search with which the recipe scored it."""


def bundle_folder(packed: Path, domain: str) -> Path:
    """Folder of the bundle of a domain."""
    return packed / BASE if domain == BASE else packed / "domains" / domain


def is_packed(folder: Path) -> bool:
    """Whether the folder is a packed model."""
    return (folder / MANIFEST).is_file()


def read_manifest(packed: Path) -> Manifest:
    """Read and check pack.json.

    Raises:
        SpeechLLMError: it was written by a newer speechllm.
        DataError: it is damaged, or holds a name or path that is not allowed.
        ConfigError: a key is missing, unknown or of the wrong type.
    """
    path = packed / MANIFEST
    values = read_mapping(path, PACKED_AGAIN)
    check_format(values["format"], FORMAT, packed)
    manifest = parse(Manifest, values, path)
    for domain in manifest.domains:
        if problem := domain_problem(domain):
            raise DataError(f"domain {domain!r}: {problem}", path)
    if BASE not in manifest.domains:
        raise DataError("there is no domain 'base'", path)
    for key, model in manifest.pretrained.items():
        if key not in PRETRAINED or not _is_sound(model):
            raise DataError(f"pretrained.{key} has a name or a path that it must not have", path)
    return manifest


def check_domains(packed: Path, manifest: Manifest) -> None:
    """Raise DataError if trained tensors are missing or have changed since packing."""
    for domain, trained in manifest.domains.items():
        bundle = bundle_folder(packed, domain)
        for name in (TENSORS, DESCRIPTION):
            if not (bundle / name).is_file():
                raise DataError("no such file", bundle / name, remedy=PACKED_AGAIN)
        if sha256_of([bundle / TENSORS]) != trained.sha256:
            raise _changed(bundle / TENSORS)


def check_seals(packed: Path) -> None:
    """Raise DataError if descriptions, configs or tokenizers have changed since packing."""
    if odd := broken_seals(packed):
        raise _changed(packed / odd[0])


def _changed(path: Path) -> DataError:
    return DataError("has changed since it was packed", path, remedy=PACKED_AGAIN)


def domain_problem(domain: str) -> str | None:
    """Reason why this cannot be the name of a domain, hence of a folder; None if it can."""
    if domain.startswith("."):
        return "it starts with a dot"
    return id_problem(domain)


def _is_sound(model: Pretrained) -> bool:
    if model.place == "hub":
        return model.path is None and bool(HUB_ID.fullmatch(model.name))
    path = PurePosixPath(model.path or "/")
    # Carried models lie inside. Any other folder belongs to the packer and may lie outside.
    return not path.is_absolute() and (model.place == "folder" or ".." not in path.parts)
