"""Writer of packed folders: whole or not at all, and never over another one."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speechllm.config import changed_keys
from speechllm.decode.config import DecodeConfig
from speechllm.decode.requirements import check_suits
from speechllm.decode.scorers.build import lm_names
from speechllm.errors import ConfigError, SpeechLLMError, shell_word
from speechllm.files.layout import DESCRIPTION, MODEL, RUN, TENSORS
from speechllm.files.locks import LOCK
from speechllm.files.made_from import seal_all
from speechllm.files.own import made_again, read_mapping
from speechllm.files.whole import (
    beside,
    clean_up,
    sha256_of,
    whole_file,
    whole_folder,
    write_json,
)
from speechllm.model.bundle_record import check_bundle, model_config
from speechllm.model.description import task_of
from speechllm.pack.card import model_card
from speechllm.pack.card_header import CardFacts
from speechllm.pack.choose import Choice, choose
from speechllm.pack.files import CARD
from speechllm.pack.manifest import (
    BASE,
    FORMAT,
    MANIFEST,
    PRETRAINED,
    TRAINING,
    Manifest,
    Trained,
    bundle_folder,
    check_domains,
    check_seals,
    is_packed,
    read_manifest,
)
from speechllm.pack.pretrained import Carry, copy_model, describe, locate
from speechllm.report.tree import read_model
from speechllm.version import __version__

log = logging.getLogger(__name__)

# Keys of run.json that tell how a model was trained, but nothing of the machine.
TOLD = (
    *("kind", "method", "target", "steps", "kept_step", "seen", "audio_hours_source"),
    *("audio_hours_target", "trained_parameters", "config"),
)


def pack(
    base: Path,
    out: Path,
    patterns: Sequence[str] = (),
    decode: DecodeConfig | None = None,
    tag: str = "decode",
    carry: Carry = "local",
    facts: CardFacts | None = None,
) -> Manifest:
    """Pack a base and one model for each of its domains.

    Args:
        base: folder of the base run.
        out: the packed folder.
        patterns: patterns of runs to choose from (see `choose`).
        decode: settings of the search for the packed model.
        tag: tag of the decoding whose scores the model card shows.
        carry: which pretrained models are copied into the folder.
        facts: what the model card says besides; by default its example loads `out` by its name.

    Raises:
        SpeechLLMError: there is no finished base; it or its pretrained models have changed since a
            model was adapted from it; or `out` holds something else.
        DataError: a model is damaged.
        ConfigError: see `choose`, `describe` and `check_suits`; or `decode` needs language models,
            which a packed folder does not hold, or has `adapted` other than 1.
    """
    if decode and (names := lm_names(decode)):
        raise ConfigError(
            f"a packed model has no room for language models: {', '.join(names)}",
            "pack with a config of the search that names none, such as conf/decode.yaml",
        )
    if decode and decode.adapted != 1:
        raise ConfigError(
            f"adapted: {decode.adapted:g} cannot be said of a packed model's base",
            "pack with a config that leaves it out, and tell `speechllm transcribe`",
        )
    if not (base / RUN).is_file():
        raise SpeechLLMError(f"{base} holds no finished base model", "run stage 4 (base) first")
    task = task_of(base)
    facts = facts or CardFacts(out.resolve().name)
    if decode:
        check_suits(model_config(base / MODEL), decode, task)
    runs = {BASE: Choice(read_model(base / RUN), "the base of all"), **choose(base, patterns)}
    for domain, choice in runs.items():
        log.info("%s: %s (%s)", domain, choice.model.folder, choice.reason)
    model = read_mapping(base / MODEL / DESCRIPTION, made_again(base))["model"]
    places = {key: describe(model[key], key, out, carry) for key in PRETRAINED if model.get(key)}
    manifest = Manifest(
        format=FORMAT,
        speechllm=__version__,
        pretrained={key: found for key, (found, _) in places.items()},
        domains={domain: _trained(choice, base) for domain, choice in runs.items()},
        decode=task.with_decode_defaults(decode or DecodeConfig()),
    )
    if _is_packed_already(out, manifest):
        clean_up(beside(out, LOCK))
        log.info("%s is packed already; its model card is written anew", out)
        _write_card(out, manifest, base, runs, tag, facts)
        return manifest
    with whole_folder(out, lambda _: False) as temporary:
        names = {key: found.name for key, found in manifest.pretrained.items()}
        for domain, choice in runs.items():
            _copy_bundle(choice, bundle_folder(temporary, domain), names)
        for found, folder in places.values():
            if found.place == "carried":
                copy_model(folder, temporary / str(found.path))
        _write_card(temporary, manifest, base, runs, tag, facts)
        write_json(temporary / MANIFEST, manifest.model_dump(mode="json"))
        seal_all(temporary, _described(temporary))
    log.info("packed %s: %s", out, ", ".join(runs))
    return manifest


def _described(packed: Path) -> list[str]:
    """Files to seal: all but weights, whose hashes are in the manifest, and the editable card."""
    kept = (".json", ".txt", ".model", ".tiktoken", ".jinja")
    files = (path for path in packed.rglob("*") if path.is_file() and path.suffix in kept)
    return [path.relative_to(packed).as_posix() for path in files]


def _trained(choice: Choice, base: Path) -> Trained:
    folder = choice.model.folder
    check_bundle(folder / MODEL)
    return Trained(
        run=folder.relative_to(base.parent).as_posix(),
        method=choice.model.run["method"],
        chosen=choice.reason,
        sha256=sha256_of([folder / MODEL / TENSORS]),
    )


def _is_packed_already(out: Path, manifest: Manifest) -> bool:
    """Whether `out` holds what would be packed now; False if it is empty or missing.

    Raises:
        SpeechLLMError: it holds something else.
        DataError: it holds the same, but damaged.
    """
    other = "name another folder with --out"
    if is_packed(out):
        told = {"speechllm"}  # another version of the toolkit is no change
        old, new = (m.model_dump(mode="json", exclude=told) for m in (read_manifest(out), manifest))
        if changed := changed_keys(old, new):
            raise SpeechLLMError(
                f"{out} was packed from other models or settings: {', '.join(changed)}",
                f"rm -r {shell_word(out)}, or {other}",
            )
        check_domains(out, manifest)
        check_seals(out)
        for key, found in manifest.pretrained.items():
            if found.place == "carried":
                locate(out, key, found)
        return True
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise SpeechLLMError(f"{out} is there, and it is no packed model", other)
    return False


def _copy_bundle(choice: Choice, target: Path, names: dict[str, str]) -> None:
    """Copy the bundle of a run: tensors unchanged, description with new names and parent."""
    source = choice.model.folder / MODEL
    target.mkdir(parents=True)
    shutil.copyfile(source / TENSORS, target / TENSORS)
    description: dict[str, Any] = read_mapping(source / DESCRIPTION, made_again(source.parent))
    description["model"] |= names
    if "parent" in description:  # two folders up from domains/<domain>/
        description["parent"] = f"../../{BASE}"
    write_json(target / DESCRIPTION, description)
    run = choice.model.run
    told = {key: run[key] for key in TOLD if key in run}
    told["config"] = {key: value for key, value in run["config"].items() if key != "model"}
    write_json(target / TRAINING, told)


def _write_card(
    packed: Path,
    manifest: Manifest,
    base: Path,
    runs: dict[str, Choice],
    tag: str,
    facts: CardFacts,
) -> None:
    with whole_file(packed / CARD) as stream:
        models = {domain: choice.model for domain, choice in runs.items()}
        stream.write(model_card(manifest, base, models, tag, facts))
