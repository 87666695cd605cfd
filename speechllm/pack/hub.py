"""Packed models of the hub: their ids, and the folder of the hub's cache for one."""

import logging
import re
from pathlib import Path

from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.pack.files import PACKED
from speechllm.pack.manifest import HUB_ID, MANIFEST, is_packed
from speechllm.pretrained import fetch, hub_commit, not_fetched

log = logging.getLogger(__name__)

REVISION = re.compile(r"\w[\w-]*([./][\w-]+)*", re.ASCII)
"""Commits, branches and tags; the hub's client makes paths of them."""


def is_model_id(name: str) -> bool:
    """Whether a name has the form of an id, owner/name."""
    return "/" in name and HUB_ID.fullmatch(name) is not None


def split_id(name: str) -> tuple[str, str | None]:
    """Split `owner/name@revision`; the revision is None if there is no @.

    Raises:
        ConfigError: the part before the @ is no id, or that after it no revision.
    """
    hub_id, at, revision = name.partition("@")
    if not is_model_id(hub_id):
        raise ConfigError(f"'{hub_id}' is no hub id", "give it as owner/name")
    if at and not REVISION.fullmatch(revision):
        raise ConfigError(
            f"'{revision}' is no revision of {hub_id}",
            f"name a commit, branch or tag: {hub_id}@main",
        )
    return hub_id, revision if at else None


def find_model(model: str, revision: str | None = None) -> Path:
    """Find a folder of this machine, or fetch a packed model of the hub.

    A folder that is there comes first. `owner/name` is taken for a path, and no network is used, if
    there is a folder `owner`; with a revision it is always an id.

    Args:
        model: a folder, or an id of the hub, owner/name or owner/name@revision.
        revision: commit, branch or tag of the hub's model; None is the newest.

    Raises:
        ConfigError: a revision is malformed, or given for a folder.
        SpeechLLMError: there is neither a folder nor a packed model of that name within reach.
    """
    if Path(model).is_dir():
        if revision is None:
            return Path(model)
        raise ConfigError(
            f"'{model}' is a folder, which has no revision",
            f"leave the revision out, or for a model of the hub write {model}@{revision}",
        )
    name = model if revision is None else f"{model}@{revision}"
    is_path = not is_model_id(name.partition("@")[0])
    if is_path or ("@" not in name and Path(name).parent.is_dir()):
        remedy = "check the spelling; `./run.sh --stage pack` makes exp/packed"
        if not is_path:
            remedy += f"; a model of the hub would be {name}@main"
        raise SpeechLLMError(f"there is no folder '{model}'", remedy)
    return _fetched(*split_id(name))


def _fetched(hub_id: str, revision: str | None) -> Path:
    try:
        folder = fetch(hub_id, revision, PACKED)
    except (OSError, ValueError) as error:  # base classes of the hub client's errors
        raise SpeechLLMError(*not_fetched(hub_id, error, revision)) from error
    commit = hub_commit(folder)
    if not is_packed(folder):
        raise SpeechLLMError(
            f"{hub_id} of the hub is no packed model: it holds no {MANIFEST} at {commit}",
            "`speechllm pack --push` makes one",
        )
    log.info("%s: commit %s of the hub (to keep to it: %s@%s)", hub_id, commit, hub_id, commit)
    return folder
