"""Adapt LLM-based speech recognisers to new domains."""

import os
from typing import TYPE_CHECKING

from speechllm.version import __version__ as __version__

if TYPE_CHECKING:
    from speechllm.transcribe.recogniser import Recogniser


def load(
    model: str | os.PathLike[str],
    domain: str | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
) -> "Recogniser":
    """Load a packed model, or the model of a run, to transcribe with it.

    Heavy packages are imported only when this is called. Errors are those of
    `speechllm.transcribe.load.load_recogniser`.

    Args:
        model: packed folder, folder of a run, or hub id of a packed model.
        domain: default domain of `transcribe`; the base if None, or the one domain of a run.
        device: where to compute; the GPU if None and there is one.
        trust_remote_code: let a packed model's encoder and LLM run code of their own.
    """
    from speechllm.transcribe.load import load_recogniser

    return load_recogniser(os.fspath(model), domain, device, trust_remote_code)
