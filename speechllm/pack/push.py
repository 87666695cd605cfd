"""Upload of a folder to the model hub, as one commit."""

import logging
from collections.abc import Sequence
from pathlib import Path

from speechllm.errors import ConfigError, SpeechLLMError, shell_word
from speechllm.pack.files import PACKED, files_below, matching
from speechllm.pack.hub import split_id
from speechllm.pack.manifest import read_manifest

log = logging.getLogger(__name__)


def check_push(target: str) -> None:
    """Raise before the work what would only stop a push after it.

    Args:
        target: owner/name or owner/name@branch.

    Raises:
        ConfigError: that is no id.
        SpeechLLMError: there is no token, or the hub must not be reached.
    """
    from huggingface_hub import get_token, is_offline_mode

    try:
        split_id(target)
    except ConfigError as error:
        raise ConfigError(f"--push: {error.message}", error.remedy) from error
    if is_offline_mode():
        raise SpeechLLMError("--push: HF_HUB_OFFLINE is set", "unset it, or leave out --push")
    if not get_token():
        raise SpeechLLMError(
            "--push: there is no token of the hub",
            "log in with `hf auth login`, or set HF_TOKEN to a token that may write",
        )


def push_packed(packed: Path, target: str, public: bool = False) -> str:
    """Upload a packed folder; see `push`.

    Args:
        packed: the folder.
        target: owner/name or owner/name@branch.
        public: let everybody read a new repository.

    Returns:
        URL of the commit.

    Raises:
        SpeechLLMError: the packed folder refers to a folder of this machine, or see `push`.
    """
    for key, model in read_manifest(packed).pretrained.items():
        if model.place == "folder":
            raise SpeechLLMError(
                f"{packed} refers to the {key} {model.path}, which nobody else has",
                "pack it with --carry local into another folder, and push that",
            )
    return push(packed, target, PACKED, public)


def push(folder: Path, target: str, patterns: Sequence[str], public: bool = False) -> str:
    """Upload files of a folder as one commit; make the repository and the branch if need be.

    What the repository holds of these patterns, and the folder does not, is removed in the same
    commit; all other files of either stay where they are.

    Args:
        folder: the folder.
        target: owner/name or owner/name@branch.
        patterns: patterns of the files.
        public: let everybody read a new repository; an existing one stays as it is.

    Returns:
        URL of the commit.

    Raises:
        ConfigError: `target` is no id.
        SpeechLLMError: the hub cannot be reached, or refuses.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.errors import HTTPError  # that of requests or httpx, by version

    hub_id, branch = split_id(target)
    there = files_below(folder)
    names = matching(there, patterns)
    if left_out := sorted({*there} - {*names}):
        log.warning("%s: not pushed, as no packing wrote it: %s", folder, ", ".join(left_out))
    api = HfApi()
    try:
        api.create_repo(hub_id, private=not public, exist_ok=True)
        if branch:
            api.create_branch(hub_id, branch=branch, exist_ok=True)
        stale = {*matching(api.list_repo_files(hub_id, revision=branch), patterns)} - {*names}
        # Unlike `upload_folder`, which makes a commit for each part of a large folder.
        commit = api.create_commit(
            hub_id,
            [
                *(CommitOperationDelete(name) for name in sorted(stale)),
                *(CommitOperationAdd(name, folder / name) for name in names),
            ],
            commit_message="Pack of speechllm",
            revision=branch,
        )
    except (HTTPError, OSError, ValueError, RuntimeError) as error:  # the last is hf_xet's
        raise SpeechLLMError(
            f"{folder} could not be pushed to {target}: {error}",
            f"log in with `hf auth login`; {shell_word(folder)} is kept: give the command again",
        ) from error
    log.info("pushed %d files to %s", len(names), target)
    return str(commit.commit_url)
