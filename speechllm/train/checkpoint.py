"""Checkpoint: all that a run needs to resume at the exact step, in one file without pickle.

Random state is not part of it: data order, noise and dropout are pure functions of seed and step.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from speechllm.errors import DataError, SpeechLLMError, shell_word
from speechllm.files.guarded import guarded
from speechllm.files.processes import is_first_rank
from speechllm.files.whole import whole_file
from speechllm.model.bundle import restore_tensors, trained_tensors
from speechllm.model.sharded import gathered, laid_out_as


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    state: dict[str, Any],
) -> None:
    """Write trained weights, the optimisers' moments and `state`.

    All processes call it, and the first one writes whole tensors: the file does not tell how many
    there were, so a run goes on with another number of them, sharded or not.

    Args:
        path: the file; it appears whole or not at all.
        model: its trained parameters are saved.
        optimizers: over these parameters, always made in the same order.
        state: anything that json can hold (step, epoch, batch, monitor).
    """
    tensors = {f"model.{name}": t for name, t in trained_tensors(model).items()}
    for number, optimizer in enumerate(optimizers):
        for index, parameter in enumerate(_in_order(model, optimizer)):
            prefix, moments = f"optimizer{number}.{index}.", optimizer.state.get(parameter, {})
            tensors |= {prefix + k: torch.as_tensor(v) for k, v in moments.items()}
    tensors = gathered(tensors)
    if not is_first_rank():
        return
    told = json.dumps(state)
    payload = save(tensors, metadata={"state": told, "crc32": _crc(tensors, told)})
    with whole_file(path, "wb") as stream:
        stream.write(payload)


def load_checkpoint(
    path: Path, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]
) -> dict[str, Any]:
    """Restore model and optimisers; return `state`.

    Args:
        path: the file.
        model: its trained parameters are set.
        optimizers: over these parameters, made in the same order as when it was saved.

    Raises:
        DataError: the file is damaged or belongs to another model.
    """
    anew = f"rm {shell_word(path)}: training begins anew"
    with (
        guarded(path, "is not a checkpoint", remedy=anew),
        safe_open(path, "pt") as file,
    ):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        told = file.metadata()
        state = json.loads(told["state"])
    if told.get("crc32") not in (None, _crc(tensors, told["state"])):
        raise DataError("is not what was written", path, remedy=anew)
    restore_tensors(model, _below("model.", tensors), path)
    for number, optimizer in enumerate(optimizers):
        packed = [p for group in optimizer.param_groups for p in group["params"]]
        places = {id(p): place for place, p in enumerate(packed)}
        parameters = _in_order(model, optimizer)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _below(f"optimizer{number}.", tensors).items():
            index, key = name.split(".", 1)
            parameter = parameters[int(index)]
            own = moments.setdefault(places[id(parameter)], {})
            own[key] = laid_out_as(parameter, tensor)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    return state


def batches_of_a_step(path: Path) -> int | None:
    """Batches of an optimiser step of the run that a checkpoint belongs to; None without one.

    Raises:
        DataError: the file is damaged.
        SpeechLLMError: an older version wrote it with several processes, whose plan was another.
    """
    if not path.is_file():
        return None
    anew = f"rm {shell_word(path)}: training begins anew"
    with guarded(path, "is not a checkpoint", remedy=anew), safe_open(path, "pt") as file:
        state = json.loads(file.metadata()["state"])
        if state.get("step_batches") is None and state["world_size"] > 1:
            raise SpeechLLMError(
                f"{path} is of an older version, which dealt batches to processes in another way",
                anew,
            )
        return state.get("step_batches")


def _in_order(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Parameters of an optimiser in the model's order, whatever its groups."""
    chosen = {id(p) for group in optimizer.param_groups for p in group["params"]}
    return [p for p in model.parameters() if id(p) in chosen]


def _crc(tensors: Mapping[str, Tensor], told: str) -> str:
    """Checksum of a checkpoint's content, at 2 GB a second; SHA-256 takes three times as long."""
    crc = zlib.crc32(told.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        crc = zlib.crc32(f"{name} {tensor.dtype} {[*tensor.shape]}".encode(), crc)
        crc = zlib.crc32(tensor.flatten().view(torch.uint8).numpy(), crc)
    return f"{crc:08x}"


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
