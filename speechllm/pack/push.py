"""Upload of a packed folder to the model hub."""

import logging
from pathlib import Path

from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.pack.manifest import HUB_ID, read_manifest

log = logging.getLogger(__name__)


def check_target(hub_id: str) -> None:
    """Raise ConfigError if `hub_id` cannot be a model id; called before the work of packing."""
    if "/" not in hub_id or not HUB_ID.fullmatch(hub_id):
        raise ConfigError(f"--push: '{hub_id}' is no hub id", "give it as owner/name")


def push(packed: Path, hub_id: str, public: bool = False) -> str:
    """Upload a packed folder as one commit; make the repository if there is none.

    Args:
        packed: the folder.
        hub_id: owner/name.
        public: let everybody read a new repository; an existing one stays as it is.

    Returns:
        URL of the commit.

    Raises:
        SpeechLLMError: the packed folder refers to a folder of this machine, or the hub cannot be
            reached or refuses.
    """
    check_target(hub_id)
    for key, model in read_manifest(packed).pretrained.items():
        if model.place == "folder":
            raise SpeechLLMError(
                f"{packed} refers to the {key} {model.path}, which nobody else has",
                "pack it with --carry local into another folder, and push that",
            )
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError  # that of requests or httpx, by version

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
