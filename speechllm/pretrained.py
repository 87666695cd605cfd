"""Pretrained models by folder or hub id: where their files are, and which weights they hold."""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from speechllm.errors import ConfigError, shown
from speechllm.files.layout import SOURCE
from speechllm.files.whole import sha256_of

log = logging.getLogger(__name__)

LARGEST = (
    (re.compile("(layer|block)s?$|depth$"), 1000),
    (re.compile("hidden_size$|d_model$|n_embd$"), 100_000),
)
"""Largest sizes in a model's config.json, which no model has; what claims more would be built, for
hours or beyond all memory, before its weights are compared with it."""
LOADING_ERRORS = Exception
"""Errors that loading a model, tokenizer or feature extractor may raise: all, since tokenizers,
safetensors and models' own code have error classes of their own."""

NOT_NEEDED = ["*.msgpack", "*.h5", "*.onnx", "*.gguf", "*.ot", "original/*", "consolidated*"]
"""Files of other frameworks, and second copies of the weights."""
DESCRIPTIONS = ["*.json", "*.txt", "*.jinja", "*.model", "*.tiktoken", "*.py"]
"""Files of a model without its weights."""


def resolve_folder(name: str, key: str, weights: bool = True) -> Path:
    """Find the local folder of a model; a hub id is fetched, or found in the hub's cache.

    Args:
        name: a folder or a hub id.
        key: the config key that named it, for the error message.
        weights: fetch them too; else only the files that describe the model.

    Raises:
        ConfigError: the folder holds no model, or there is neither a folder nor a model on the
            hub that can be fetched; or it claims to be larger than any model (`LARGEST`).
    """
    folder = Path(name)
    if not folder.is_dir():
        try:
            folder = fetch(name, files=None if weights else DESCRIPTIONS)
        except (OSError, ValueError) as error:  # base classes of the hub client's errors
            message, remedy = not_fetched(name, error)
            raise ConfigError(f"{key}: {message}", remedy) from error
    elif not (folder / "config.json").is_file():
        raise ConfigError(
            f"{key}: the folder {name} holds no config.json",
            "name the folder that a transformers model was saved in",
        )
    _check_size(folder, key, name)
    return folder


def _check_size(folder: Path, key: str, name: str) -> None:
    parts: list[Any] = []
    with suppress(OSError, ValueError, RecursionError):  # transformers says what is damaged
        parts = [json.loads((folder / "config.json").read_bytes())]
    for part in parts:  # grows by the parts of a model of several
        for setting, value in part.items() if isinstance(part, dict) else ():
            parts.append(value)
            for pattern, most in LARGEST:
                if isinstance(value, int) and value > most and pattern.search(setting):
                    where = f"{key}: {name}/config.json: {setting}"
                    raise ConfigError(
                        f"{where} is {shown(value)}; {most:,} is the most", "fetch the model again"
                    )


def not_fetched(name: str, error: Exception, revision: str | None = None) -> tuple[str, str]:
    """Words for a name that is no folder, and that the hub gives no model for.

    Args:
        name: the name.
        error: raised by `fetch`.
        revision: revision that was asked for.

    Returns:
        What is wrong, and the remedy.
    """
    from huggingface_hub import errors

    at = f" --revision {revision}" if revision else ""
    if isinstance(error, errors.GatedRepoError):
        return (
            f"'{name}' of the hub is gated: its licence must be accepted first",
            f"accept it at https://huggingface.co/{name}, then run `hf auth login`",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"there is no folder '{name}', and the hub has no such model, or hides it from you",
            "check the spelling; for a private model run `hf auth login`",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return (
            f"'{name}' of the hub has no revision '{revision}'",
            f"name a commit, branch or tag that https://huggingface.co/{name} has",
        )
    if isinstance(error, errors.HFValidationError):
        return (
            f"there is no folder '{name}', and a hub id looks like owner/name",
            "check the spelling; a path is relative to where the command runs",
        )
    if isinstance(error, errors.LocalEntryNotFoundError):
        return (
            f"there is no folder '{name}'; the hub cannot be reached, and its cache holds no such "
            "model, or not all of it",
            f"check the spelling; where there is a network (and HF_HUB_OFFLINE is not set), run "
            f"`hf download {name}{at}`, then take its cache along or give the folder of a copy",
        )
    return (
        f"there is no folder '{name}', and no such model of the hub can be fetched "
        f"({type(error).__name__})",
        f"check the spelling; see whether this works: hf download {name}{at}",
    )


def cannot_be_loaded(key: str, name: str, error: Exception) -> ConfigError:
    """Make the error for a model that is there, but that transformers cannot load.

    Args:
        key: the config key that named it.
        name: its folder or hub id.
        error: raised by transformers.
    """
    if isinstance(error, ConfigError):
        return error
    said = str(error).strip()
    first = said.splitlines()[0] if said else type(error).__name__
    if "trust_remote_code" in said:
        return ConfigError(
            f"{key}: {name} brings code of its own, which is not run unless you allow it",
            "read that code; if you trust it, set model.trust_remote_code: true",
        )
    if isinstance(error, ImportError):
        needed = re.findall(r"`(pip install [^`]+)`", said)
        needed += [
            f"pip install {name}" for name in re.findall(r"requires the (\w+) library", said)
        ]
        return ConfigError(
            f"{key}: {name} needs a package that is not installed: {first}",
            f"in the recipe's environment: {needed[0] if needed else 'pip install it'}",
        )
    return ConfigError(
        f"{key}: {name} cannot be loaded: {first}",
        "see whether the model is whole, and of the kind that this key wants",
    )


def is_sketch() -> bool:
    """Whether models are now built without weights, that is inside `torch.device("meta")`."""
    import torch

    return torch.get_default_device().type == "meta"


@contextmanager
def quietly() -> Iterator[None]:
    """Silence transformers' progress bars and load reports inside the block, unless at --debug.

    Missing weights are the part of a report that matters, and `load_model` raises an error for
    them. Weights that are not used, such as a CTC head above an encoder, are no fault.
    """
    if log.isEnabledFor(logging.DEBUG):
        yield
        return
    from transformers.utils import logging as of_transformers

    verbosity = of_transformers.get_verbosity()
    bars = of_transformers.is_progress_bar_enabled()
    of_transformers.set_verbosity_error()
    of_transformers.disable_progress_bar()
    try:
        yield
    finally:
        of_transformers.set_verbosity(verbosity)
        if bars:
            of_transformers.enable_progress_bar()


def load_model(auto: Any, folder: Path, key: str, name: str, **options: Any) -> Any:
    """Load a model with all its weights; inside `torch.device("meta")`, without any.

    Args:
        auto: one of transformers' auto classes.
        folder: folder of the model.
        key, name: config key that named the model, and its value, for the error message.
        options: keyword arguments of `from_pretrained`.

    Raises:
        ConfigError: it cannot be loaded, or some of its weights are missing.
    """
    from transformers import AutoConfig

    try:
        if is_sketch():
            trusted = options.get("trust_remote_code", False)
            config = AutoConfig.from_pretrained(folder, trust_remote_code=trusted)
            return auto.from_config(config, **options)
        with quietly():
            model, report = auto.from_pretrained(folder, output_loading_info=True, **options)
    except LOADING_ERRORS as error:
        raise cannot_be_loaded(key, name, error) from error
    if missing := sorted(report["missing_keys"]):
        raise ConfigError(
            f"{key}: the weights of {name} lack {len(missing)} tensors of a "
            f"{type(model).__name__}: {', '.join(missing[:3])}",
            "fetch all of the model's files, or name another model",
        )
    return model


def fetch(hub_id: str, revision: str | None = None, files: Sequence[str] | None = None) -> Path:
    """Return the folder of a model in the hub's cache; fetch the model if it is not there yet.

    Without a network, the folder is what the cache holds of that revision, if all of it is there.

    Args:
        hub_id: id of the model.
        revision: commit, branch or tag; None is the newest.
        files: patterns of the files that are wanted; None wants all.

    Raises:
        OSError, ValueError: the model cannot be fetched, or `hub_id` is no id.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError  # that of requests or httpx, by version

    wanted = {"allow_patterns": list(files)} if files else {}
    try:
        return Path(
            snapshot_download(hub_id, revision=revision, ignore_patterns=NOT_NEEDED, **wanted)
        )
    except (HTTPError, RuntimeError) as error:  # a line that breaks half-way; hf_xet's errors
        if isinstance(error, OSError):
            raise
        raise OSError(str(error)) from error


def hub_commit(folder: Path) -> str | None:
    """Commit that a folder of the hub's cache holds; None for any other folder."""
    in_cache = folder.parent.name == "snapshots"
    return folder.name if in_cache and re.fullmatch(r"[0-9a-f]{40}", folder.name) else None


def weights_hash(folder: Path) -> str:
    """Hash of config.json and of the weight files that are loaded."""
    weights = [*folder.glob("*.safetensors")] or [*folder.glob("*.bin")]
    return sha256_of([folder / "config.json", *weights])


def model_files(key: str, name: str, weights: bool = True) -> dict[str, Path]:
    """List the files that a model's output depends on, by name `<key>/<file>`.

    Args:
        key: config key of the model, e.g. "llm".
        name: folder or hub id.
        weights: list the weights too; else only the files that describe the model.
    """
    folder = resolve_folder(name, f"model.{key}", weights)
    found = [path for pattern in DESCRIPTIONS for path in folder.glob(pattern)]
    # Licences and notes are .txt too; the record of an import does not change the model.
    found = [p for p in found if p.suffix != ".txt" or p.name in ("merges.txt", "vocab.txt")]
    found = [p for p in found if p.name != SOURCE]
    if weights:
        found += [*folder.glob("*.safetensors")] or [*folder.glob("*.bin")]
    return {f"{key}/{path.name}": path for path in found}


def encoder_files(name: str) -> dict[str, Path]:
    """Files among `model_files` that an encoder's output depends on: weights and settings."""
    settings = ("config.json", "preprocessor_config.json", "processor_config.json")
    return {
        key: path
        for key, path in model_files("encoder", name).items()
        if path.suffix in (".safetensors", ".bin") or path.name in settings
    }


def encoder_key(name: str) -> dict[str, str]:
    """Encoder id, and one hash of its weights and settings, as older versions recorded them."""
    folder = resolve_folder(name, "model.encoder")
    files = {*folder.glob("*.safetensors"), *folder.glob("*.bin"), *encoder_files(name).values()}
    return {"encoder": name, "sha256": sha256_of(files)}


def encoder_id(name: str, settings: Mapping[str, str] | None = None) -> str:
    """Folder name of an encoder's cache below dump/.

    Args:
        name: folder or hub id.
        settings: settings that are not the default; each combination has its own folder.
    """
    stem = Path(name).name if Path(name).is_dir() else re.sub(r"[^\w.-]+", "--", name)
    return ".".join([stem, *(settings or {}).values()])
