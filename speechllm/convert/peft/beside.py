"""Files beside an adapter or a merged LLM: what else a domain trained, and what it belongs to."""

from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from speechllm.convert.peft.changes import Changes
from speechllm.convert.peft.names import Names
from speechllm.files.whole import write_json
from speechllm.pack.card_header import told_name
from speechllm.pack.manifest import PRETRAINED
from speechllm.version import __version__

PROJECTOR, WEIGHTS, DESCRIPTION = "projector.safetensors", "weights.safetensors", "speechllm.json"
TOLD = (
    *("task", "speech_llm", "encoder", "llm", "projector", "prompt", "language", "chat_template"),
    *("encoder_window", "llm_dtype"),
)
"""Keys of ModelConfig that say what the adapter belongs to."""


def write_beside(folder: Path, domain: str, changes: Changes, merged: bool = False) -> None:
    """Write the trained weights that no LoRA holds, and speechllm.json.

    A pretrained model that is a folder is named by the last part of its path.

    Args:
        folder: folder of the adapter or the merged model.
        domain: the domain that it was adapted to.
        changes: all that was trained.
        merged: the model of transformers' own class is in the folder, with its weights.
    """
    for name, tensors in _weights(changes, merged).items():
        if tensors:
            whole = {key: tensor.contiguous() for key, tensor in tensors.items()}
            save_file(whole, folder / name, metadata={"format": "pt"})
    model = changes.config.model_dump(mode="json")
    told = {key: model[key] for key in TOLD if model[key] is not None}
    told |= {key: told_name(told[key]) for key in PRETRAINED if key in told}
    write_json(folder / DESCRIPTION, {"speechllm": __version__, "domain": domain, **told})


def _weights(changes: Changes, merged: bool) -> dict[str, dict[str, Tensor]]:
    names = Names(changes.config)
    weights = {names.to_theirs(name): tensor for name, tensor in changes.weights.items()}
    if not names.is_whole:
        return {PROJECTOR: changes.projector, WEIGHTS: {} if merged else weights}
    for name, tensor in changes.projector.items():
        weights[names.projector + name.removeprefix("module.")] = tensor
    return {WEIGHTS: {} if merged else weights}
