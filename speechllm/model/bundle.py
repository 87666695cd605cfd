"""Bundle of a model on disk: trained tensors, settings, and the models that it builds on.

A bundle holds only its trained tensors. A base bundle builds on pretrained folders; an adapted
bundle builds on its parent bundle, so all models adapted from one base share it.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from speechllm.config import ModelConfig, parse
from speechllm.errors import DataError, SpeechLLMError
from speechllm.files.layout import DESCRIPTION, TENSORS
from speechllm.files.own import check_format, made_again_bundle, read_mapping, read_tensors
from speechllm.files.processes import is_first_rank
from speechllm.files.whole import sha256_of, whole_file, write_json
from speechllm.model.bundle_record import (
    PARENT,
    SHA256,
    check_bundle,
    parent_of,
    trained_anew,
    write_bundle_record,
)
from speechllm.model.description import LABELS, bundle_labels, with_labels
from speechllm.model.sharded import gathered, is_sharded, laid_out_as
from speechllm.model.speech_llm import SpeechLLM
from speechllm.task import Labels

FORMAT = 1


def trained_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Tensors that training changes, by parameter name."""
    return {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}


def restore_tensors(model: nn.Module, tensors: dict[str, Tensor], where: Path) -> None:
    """Copy `tensors` into the parameters of the same names.

    Args:
        model: the model to change.
        tensors: values by parameter name.
        where: file that they come from, for the error message.

    Raises:
        DataError: the model has no parameter of that name and shape.
    """
    parameters, in_shards = dict(model.named_parameters()), is_sharded(model)
    for name, tensor in tensors.items():
        if name not in parameters or parameters[name].shape != tensor.shape:
            raise DataError(f"the tensor {name} does not fit the model", where)
        if in_shards:
            with torch.no_grad():
                parameters[name].copy_(laid_out_as(parameters[name], tensor))
        else:
            parameters[name].data = tensor.to(parameters[name].device)


def save_trained(path: Path, model: nn.Module, without: str | None = None) -> str | None:
    """Write the trained tensors of a model. All processes call it, and the first one writes.

    Args:
        path: file to write.
        model: parameters with `requires_grad` are written.
        without: leave out names that begin with this prefix; None leaves out none.

    Returns:
        Hex SHA-256 of the file; None in other processes than the first.
    """
    tensors = gathered(
        {
            name: tensor
            for name, tensor in trained_tensors(model).items()
            if without is None or not name.startswith(without)
        }
    )
    if not is_first_rank():
        return None
    content = save(tensors)
    with whole_file(path, "wb") as stream:
        stream.write(content)
    return hashlib.sha256(content).hexdigest()


def save_bundle(
    folder: Path, model: SpeechLLM, parent: Path | None = None, labels: Labels | None = None
) -> None:
    """Write the trained tensors, the description, and the record of what it was made from.

    All processes call it, and the first one writes.

    Args:
        folder: the bundle's folder.
        model: parameters with `requires_grad` are saved, but not its scaffold.
        parent: the bundle that it was adapted from.
        labels: labels in the answers of its training data; the parent's are added.
    """
    sha256 = save_trained(folder / TENSORS, model, without="scaffold.")
    if sha256 is None:
        return
    description = {"format": FORMAT, "model": model.config.model_dump(mode="json")}
    if labels:
        before = parent and bundle_labels(parent)
        description[LABELS] = with_labels(labels, before or {})
    if parent:
        description["parent"] = os.path.relpath(parent, folder)
        description["parent_sha256"] = sha256_of([parent / TENSORS])
    description[SHA256] = sha256
    write_json(folder / DESCRIPTION, description)
    write_bundle_record(folder)


def load_bundle(folder: Path, pretrained: Mapping[str, str] | None = None) -> SpeechLLM:
    """Build the model of a bundle: pretrained weights, then every generation's tensors.

    A parent's LoRA is folded into the weights before a child's own is added.

    Args:
        folder: the bundle's folder.
        pretrained: new places of the pretrained models, by the key of ModelConfig that names
            them; None where none was moved.

    Raises:
        SpeechLLMError: the bundle is missing or damaged, or its parent or a pretrained model is
            gone or has changed since.
    """
    chain = generations(folder)
    check_bundle(folder, moved=pretrained is not None)
    model: SpeechLLM | None = None
    for place in chain:
        config, tensors = read_bundle(place)
        if model is None:
            model = SpeechLLM(config.model_copy(update=dict(pretrained or {})))
        else:
            begin_generation(model, config, tensors)
        restore_tensors(model, tensors, place / TENSORS)
    model.labels = bundle_labels(folder) or {}
    return model.eval()


def generations(folder: Path) -> list[Path]:
    """Folders of a bundle and of those that it builds on, the oldest first.

    Raises:
        SpeechLLMError: one of them is missing, or of a newer format.
    """
    chain = [_describe(folder)]
    while PARENT in chain[0][1]:
        chain.insert(0, _describe(parent_of(*chain[0])))
    return [place for place, _ in chain]


def begin_generation(model: SpeechLLM, config: ModelConfig, tensors: Mapping[str, Tensor]) -> None:
    """Prepare a parent's model for the tensors of its child.

    Folds the parent's LoRA into the weights, adds the child's LoRA if it has one, and keeps in
    `model.before` the parent's values of all other tensors that the child replaces.

    Args:
        model: the parent's model.
        config: settings of the child.
        tensors: the child's own tensors, by parameter name.
    """
    model.replace_lora(config.lora)
    model.before = {
        name: parameter.data
        for name, parameter in model.named_parameters()
        if name in tensors and ".lora_" not in name
    }


def read_bundle(folder: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Settings and trained tensors of a bundle itself, without its parents'.

    Raises:
        DataError: either is damaged, or a projector or LoRA is claimed that is larger than what
            was trained: it would be built first.
    """
    description = _describe(folder)[1]
    config = parse(ModelConfig, description["model"], folder / DESCRIPTION)
    remedy = trained_anew(folder, description)
    tensors = read_tensors(folder / TENSORS, remedy, description.get(SHA256))
    sizes = [tensor.shape for name, tensor in tensors.items() if name.startswith("projector.")]
    if config.projector and sizes and PARENT not in description:  # a child may train a part of it
        projector, known = config.projector, {size for shape in sizes for size in shape}
        of_blocks = projector.blocks if projector.kind == "convnext" else 0
        claims = projector.hidden in known and projector.downsampling <= max(known)
        if not claims or of_blocks > len(sizes):
            message = f"the trained projector has not the sizes that {DESCRIPTION} claims"
            raise DataError(message, folder / TENSORS, remedy=remedy)
    ranks = {tensor.shape[0] for name, tensor in tensors.items() if ".lora_A." in name}
    if config.lora and ranks - {config.lora.rank}:
        message = f"the trained LoRA has not the rank {config.lora.rank} that {DESCRIPTION} claims"
        raise DataError(message, folder / TENSORS, remedy=remedy)
    return config, tensors


def _describe(folder: Path) -> tuple[Path, dict]:
    if not (folder / DESCRIPTION).is_file():
        raise SpeechLLMError(
            f"{folder} holds no trained model", "train it: stage 4 (base) or stage 5 (adapt)"
        )
    description = read_mapping(folder / DESCRIPTION, made_again_bundle(folder))
    check_format(description["format"], FORMAT, folder)
    return folder, description
