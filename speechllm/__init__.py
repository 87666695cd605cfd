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

    The arguments and errors are those of `speechllm.transcribe.load.load_recogniser`; what is
    heavy is imported only now.
    """
    from speechllm.transcribe.load import load_recogniser

    return load_recogniser(os.fspath(model), domain, device, trust_remote_code)
