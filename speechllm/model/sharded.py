"""Weights sharded over several processes (FSDP2), for an LLM that does not fit on one GPU.

The decoder's layers are sharded, and gathered one at a time while they compute. What is outside of
them (embeddings, head, projector) stays whole in each process: it is read in places that are no
layer's forward pass. Frozen weights are sharded like trained ones, so LoRA gains the most.

Only the first process loads weights. The others build the model without any, and get the first
one's values layer by layer, so no machine holds more than one copy.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from speechllm.errors import ConfigError
from speechllm.files.processes import is_first_rank
from speechllm.model.compute.cpu_layers import with_cpu_layers

if TYPE_CHECKING:
    from speechllm.model.speech_llm import SpeechLLM


def weights_of_first(shard: bool) -> AbstractContextManager[Any]:
    """Context in which a model is built that may be sharded: with weights in the first process.

    Args:
        shard: whether it will be sharded, if there are several processes.
    """
    return torch.device("meta") if shard and not is_first_rank() else nullcontext()


def shard(model: "SpeechLLM", device: str) -> None:
    """Move a model to its device, with the layers of its LLM sharded over all processes.

    All processes call it. What is to be trained is chosen before, since that makes weights float32.

    Args:
        model: model, with weights in the first process.
        device: device of this process.

    Raises:
        ConfigError: the LLM's weights are kept in 4 bits.
    """
    if model.config.load_in_4bit:
        raise ConfigError(
            "train.shard: weights that are kept in 4 bits cannot be sharded",
            "leave out model.load_in_4bit or train.shard",
        )
    mesh = init_device_mesh(torch.device(device).type, (dist.get_world_size(),))
    decoder, layers = _decoder_of(model.llm)
    head, embedding = model.llm.get_output_embeddings(), model.embedding
    is_tied = head is not None and head.weight is embedding.weight
    for layer in layers:
        for module in layer.modules():
            _take_from_first(module, device)
        # RMSNorms are tried out before they are replaced, which needs weights.
        fully_shard(with_cpu_layers(layer), mesh=mesh, reshard_after_forward=True)
    sharded = {id(module) for module in layers.modules()}
    for module in model.modules():
        if id(module) not in sharded:
            _take_from_first(module, device)
    if is_tied:
        head.weight = embedding.weight
    with_cpu_layers(model)
    own = {p for p in decoder.parameters() if not isinstance(p, DTensor)}
    fully_shard(decoder, mesh=mesh, ignored_params=own)
    for layer in layers:
        layer.set_gradient_divide_factor(1.0)  # the loop sums over all processes, and divides
        layer.set_force_sum_reduction_for_comms(True)
        # Storage that is first made while a dev set is decoded could not be trained on later.
        layer.unshard()
        layer.reshard()
    embedding.register_forward_hook(_require_gradient)


def is_sharded(model: nn.Module) -> bool:
    """Whether weights of a model are sharded over processes."""
    return any(isinstance(module, FSDPModule) for module in model.modules())


def gathered(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Whole tensors on the CPU in the first process, and none in the others; all call it.

    Args:
        tensors: by name, the same names in all processes.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        if is_first_rank():
            found[name] = whole.detach().cpu().contiguous()
    return found


def laid_out_as(like: Tensor, tensor: Tensor) -> Tensor:
    """This process's part of a whole tensor, if `like` is sharded and has its shape.

    Args:
        like: a parameter.
        tensor: the whole, the same in all processes.
    """
    if not isinstance(like, DTensor) or like.shape != tensor.shape:
        return tensor
    whole = tensor.to(like.device)
    return distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)


def _decoder_of(llm: nn.Module) -> tuple[nn.Module, nn.ModuleList]:
    """Decoder of an LLM, whatever its architecture, and the list of its layers."""
    lists = {name: m for name, m in llm.named_modules() if isinstance(m, nn.ModuleList)}
    name = max(lists, key=lambda name: sum(p.numel() for p in lists[name].parameters()))
    return llm.get_submodule(name.rpartition(".")[0]), lists[name]


def _take_from_first(module: nn.Module, device: str) -> None:
    """Move what a module itself holds to the device, with the values of the first process."""
    if not is_first_rank():
        module.to_empty(device=device, recurse=False)
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        tensor.data = tensor.data.to(device)
        dist.broadcast(tensor.data, 0)


def _require_gradient(module: nn.Module, args: Any, output: Tensor) -> Tensor:
    """Give every batch a backward pass through all layers, in which all processes have a part.

    Without it, a process whose batch reaches no trained weight would leave the others waiting.
    """
    return output.requires_grad_() if torch.is_grad_enabled() else output
