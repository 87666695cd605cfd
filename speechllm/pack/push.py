"""Put a packed folder on the model hub."""

import logging
from pathlib import Path

from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.pack.manifest import HUB_ID, read_manifest

log = logging.getLogger(__name__)


def check_target(hub_id: str) -> None:
    """Raise a ConfigError for what cannot be a model's id on the hub: before the work is done."""
    if "/" not in hub_id or not HUB_ID.fullmatch(hub_id):
        raise ConfigError(f"--push: '{hub_id}' is no hub id", "give it as owner/name")


def push(packed: Path, hub_id: str, public: bool = False) -> str:
    """Upload a packed folder, as one commit; the repository is made where there is none.

    Args:
        packed: the folder.
        hub_id: owner/name.
        public: let everybody read a repository that is new. One that is there stays as it is.

    Returns:
        Where the commit can be seen.

    Raises:
        SpeechLLMError: it refers to a folder of this machine, or the hub cannot be reached or
            refuses.
    """
    check_target(hub_id)
    for key, model in read_manifest(packed).pretrained.items():
        if model.place == "folder":
            raise SpeechLLMError(
                f"{packed} refers to the {key} {model.path}, which nobody else has",
                "pack it with --carry local into another folder, and push that",
            )
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError  # of its HTTP client, which depends on its version

    api = HfApi()
    try:
        api.create_repo(hub_id, private=not public, exist_ok=True)
        commit = api.upload_folder(
            repo_id=hub_id, folder_path=packed, commit_message="Pack of speechllm"
        )
    except (HTTPError, OSError, ValueError) as error:
        raise SpeechLLMError(
            f"{packed} could not be pushed to {hub_id}: {error}",
            "log in with `hf auth login`; the packed folder is kept: give the command again",
        ) from error
    log.info("pushed %s: %s", packed, commit.commit_url)
    return str(commit.commit_url)
