"""Adapt LLM-based speech recognisers to new domains.

from speechllm import SpeechLLM

SpeechLLM.from_pretrained("exp/packed").transcribe("visit.wav", domain="medical")[0].text
"""

import os
from typing import TYPE_CHECKING

from speechllm.moved import understand_old_names
from speechllm.version import __version__ as __version__

if TYPE_CHECKING:
    from speechllm.transcribe.recogniser import Recogniser

understand_old_names()


def load(
    model: str | os.PathLike[str],
    domain: str | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
    revision: str | None = None,
) -> "Recogniser":
    """Load a packed model, or the model of a run: `SpeechLLM.from_pretrained`.

    Args:
        model: folder, or hub id (owner/name or owner/name@revision).
        domain: of the transcripts where a call names none.
        device: where to compute.
        trust_remote_code: let a packed model's parts bring code of their own.
        revision: commit, branch or tag of the hub's model.
    """
    return __getattr__("SpeechLLM").from_pretrained(
        model, domain, device, trust_remote_code, revision
    )


def __getattr__(name: str) -> type["Recogniser"]:
    """`SpeechLLM`, the class of a model that transcribes; it is imported when it is asked for."""
    if name != "SpeechLLM":
        raise AttributeError(f"module 'speechllm' has no attribute '{name}'")
    from speechllm.transcribe.recogniser import Recogniser

    return Recogniser
