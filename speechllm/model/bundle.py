"""A model on disk: what was trained, how it was made, and which models it stands on.

A bundle holds only its trained tensors. A base bundle stands on pretrained folders; an adapted
bundle stands on its parent bundle, so one base is shared by all that were adapted from it.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor, nn

from speechllm.config import ModelConfig, parse
from speechllm.errors import DataError, SpeechLLMError
from speechllm.files.layout import DESCRIPTION, TENSORS
from speechllm.files.own import check_format, made_again_bundle, read_mapping, read_tensors
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
from speechllm.model.speech_llm import SpeechLLM
from speechllm.task import Labels

FORMAT = 1


def trained_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The tensors that training changes, by parameter name."""
    return {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}


def restore_tensors(model: nn.Module, tensors: dict[str, Tensor], where: Path) -> None:
    """Copy `tensors` into the parameters of the same names.

    Raises:
        DataError: a name or a shape that the model does not have.
    """
    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        if name not in parameters or parameters[name].shape != tensor.shape:
            raise DataError(f"the tensor {name} does not fit the model", where)
        parameters[name].data = tensor.to(parameters[name].device)


def save_trained(path: Path, model: nn.Module, without: str | None = None) -> str:
    """Write the trained tensors, but for those whose names begin with `without`.

    Returns:
        Hex SHA-256 of the file.
    """
    tensors = {
        name: tensor.cpu().contiguous()
        for name, tensor in trained_tensors(model).items()
        if without is None or not name.startswith(without)
    }
    content = save(tensors)
    with whole_file(path, "wb") as stream:
        stream.write(content)
    return hashlib.sha256(content).hexdigest()


def save_bundle(
    folder: Path, model: SpeechLLM, parent: Path | None = None, labels: Labels | None = None
) -> None:
    """Write the trained tensors, the description, and the record of what it was made from.

    Args:
        folder: where to.
        model: its parameters with `requires_grad` are saved.
        parent: the bundle that it was adapted from.
        labels: names that the answers of its training data are made of; the parent's are added.
    """
    sha256 = save_trained(folder / TENSORS, model, without="scaffold.")
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
        folder: of the bundle.
        pretrained: where pretrained models lie now, by the key of ModelConfig that names them.

    Raises:
        SpeechLLMError: no bundle there, one that is damaged, or its parent or a pretrained model
            is gone or was changed since.
    """
    chain = [_describe(folder)]
    while PARENT in chain[0][1]:
        chain.insert(0, _describe(parent_of(*chain[0])))
    check_bundle(folder, moved=pretrained is not None)
    model: SpeechLLM | None = None
    for place, _ in chain:
        config, tensors = read_bundle(place)
        if model is None:
            model = SpeechLLM(config.model_copy(update=dict(pretrained or {})))
        else:
            begin_generation(model, config, tensors)
        restore_tensors(model, tensors, place / TENSORS)
    model.labels = bundle_labels(folder) or {}
    return model.eval()


def begin_generation(model: SpeechLLM, config: ModelConfig, tensors: Mapping[str, Tensor]) -> None:
    """Make room in a model for what was trained on top of it, and note what that will replace.

    Args:
        model: the parent.
        config: the child's.
        tensors: the child's own, by parameter name.
    """
    model.replace_lora(config.lora)
    model.before = {
        name: parameter.data
        for name, parameter in model.named_parameters()
        if name in tensors and ".lora_" not in name
    }


def read_bundle(folder: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """A bundle's own generation: its settings, and the tensors that it trained."""
    description = _describe(folder)[1]
    config = parse(ModelConfig, description["model"], folder / DESCRIPTION)
    remedy = trained_anew(folder, description)
    return config, read_tensors(folder / TENSORS, remedy, description.get(SHA256))


def _describe(folder: Path) -> tuple[Path, dict]:
    if not (folder / DESCRIPTION).is_file():
        raise SpeechLLMError(
            f"{folder} holds no trained model", "train it: stage 4 (base) or stage 5 (adapt)"
        )
    description = read_mapping(folder / DESCRIPTION, made_again_bundle(folder))
    check_format(description["format"], FORMAT, folder)
    return folder, description
