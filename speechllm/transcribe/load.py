"""Loader of recognisers from a packed folder, a run's folder, or the hub."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from speechllm.decode.config import DecodeConfig
from speechllm.errors import DataError, SpeechLLMError
from speechllm.files.layout import DESCRIPTION, MODEL, RUN
from speechllm.files.own import PACKED_AGAIN, made_again, read_mapping
from speechllm.model.bundle import load_bundle
from speechllm.model.description import task_of
from speechllm.model.domains import DomainSwitch, check_domain
from speechllm.model.encoder.encoder import Encoder
from speechllm.pack.hub import find_model
from speechllm.pack.manifest import (
    BASE,
    MANIFEST,
    PRETRAINED,
    Manifest,
    bundle_folder,
    check_domains,
    check_seals,
    is_packed,
    read_manifest,
)
from speechllm.pack.pretrained import locate

log = logging.getLogger(__name__)


class Parts(NamedTuple):
    """Parts of a recogniser, loaded.

    Attributes:
        switch: the model, with the domains that it can be switched to.
        encoder: of the model.
        decode: settings of the search.
        domain: of the transcripts where a call names none.
    """

    switch: DomainSwitch
    encoder: Encoder
    decode: DecodeConfig
    domain: str


def load_parts(
    model: str | Path,
    domain: str | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
    revision: str | None = None,
) -> Parts:
    """Load a model and its encoder; see `Recogniser.from_pretrained`.

    Args:
        model: a packed folder, the folder of a run, or the hub id of a packed model, to which
            `@revision` may be added.
        domain: the first one; by default the base, or the one domain of a run.
        device: where to compute; by default the GPU, where there is one.
        trust_remote_code: let a packed model's encoder and LLM bring code of their own.
        revision: commit, branch or tag of the hub's model; by default the newest.

    Raises:
        ConfigError: no such domain; said before anything is loaded. Or a revision is malformed, or
            given for a folder.
        SpeechLLMError: no such model, one of a newer format, tensors that are missing or have
            changed, or a pretrained model under it that is not within reach.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    folder = find_model(str(model), revision)
    if is_packed(folder):
        manifest = read_manifest(folder)
        domain = domain or BASE
        check_domain(domain, list(manifest.domains))
        switch, decode = _load_packed(folder, manifest, trust_remote_code), manifest.decode
    elif (folder / MODEL).is_dir() and (folder / RUN).is_file():
        own = read_mapping(folder / RUN, made_again(folder))["target"] or BASE
        domain = domain or own
        check_domain(domain, [own])
        switch = DomainSwitch(load_bundle(folder / MODEL), own, {})
        decode = task_of(folder).with_decode_defaults(DecodeConfig())
    else:
        raise SpeechLLMError(
            f"{folder} holds no model",
            "give a packed folder (stage pack) or the folder of a finished run (stage 4 or 5)",
        )
    switch.model.to(device)
    config = switch.model.config
    encoder = Encoder(
        config.audio_model, device, config.trust_remote_code, **config.encoder_settings
    )
    log.info("%s: domains %s", model, ", ".join(switch.domains))
    return Parts(switch, encoder, decode, domain)


def _load_packed(packed: Path, manifest: Manifest, trust_remote_code: bool) -> DomainSwitch:
    check_domains(packed, manifest)
    bundle = bundle_folder(packed, BASE)
    description = read_mapping(bundle / DESCRIPTION, PACKED_AGAIN)
    described = description["model"]
    unknown = [key for key in PRETRAINED if described.get(key) and key not in manifest.pretrained]
    if unknown or "parent" in description:
        raise DataError(
            f"stands on what {packed / MANIFEST} does not name: {', '.join(unknown) or 'a parent'}",
            bundle / DESCRIPTION,
        )
    children = {d: bundle_folder(packed, d) for d in manifest.domains if d != BASE}
    wants_code = any(_wants_code(folder) for folder in (bundle, *children.values()))
    if wants_code and not trust_remote_code:
        raise SpeechLLMError(
            f"{packed} stands on models with code of their own: {_names(manifest)}",
            "if you trust them, give --trust_remote_code (trust_remote_code=True in Python)",
        )
    pretrained: Mapping[str, str] = {
        key: str(locate(packed, key, model)) for key, model in manifest.pretrained.items()
    }
    check_seals(packed)
    return DomainSwitch(load_bundle(bundle, pretrained), BASE, children)


def _wants_code(bundle: Path) -> bool:
    described = read_mapping(bundle / DESCRIPTION, PACKED_AGAIN).get("model", {})
    return bool(described.get("trust_remote_code"))


def _names(manifest: Manifest) -> str:
    return ", ".join(model.name for model in manifest.pretrained.values())
