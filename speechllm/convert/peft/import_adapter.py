"""`speechllm import-adapter`: a run's folder, made of a PEFT adapter instead of training."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechllm.config import LoraConfig
from speechllm.convert.peft.changes import DOWN, UP, Changes, changes_of
from speechllm.convert.peft.lora import Adapter, Lora, as_one
from speechllm.convert.peft.names import plain
from speechllm.convert.peft.read import CONFIG, TENSORS, PeftAdapter, read_adapter
from speechllm.environment import environment
from speechllm.errors import ConfigError, DataError, SpeechLLMError
from speechllm.files.layout import DESCRIPTION, MODEL, RUN
from speechllm.files.own import made_again, read_mapping
from speechllm.files.whole import sha256_of, whole_folder, write_json
from speechllm.model.bundle import load_bundle, restore_tensors, save_bundle
from speechllm.model.bundle_record import PARENT
from speechllm.model.description import bundle_labels
from speechllm.model.speech_llm import SpeechLLM, set_trainable
from speechllm.pack.manifest import domain_problem

log = logging.getLogger(__name__)

METHOD = "import-adapter"
OTHER = "take an adapter of this very LLM"


def import_adapter(adapter: Path, out: Path, base: Path, target: str | None = None) -> None:
    """Write the folder of a run whose model is a base with an adapter.

    An adapter stands on the pretrained model. A domain stands on its base, so the base's own LoRA
    is taken out of the domain's: its negative is concatenated.

    Args:
        adapter: folder of the adapter.
        out: folder of the run.
        base: folder of the base run.
        target: domain; None makes a base: this base, with the adapter as its own LoRA.

    Raises:
        SpeechLLMError: there is no finished base, or it is damaged.
        ConfigError: the adapter has what cannot be expressed, or does not fit this base or domain.
        DataError: the adapter is damaged or does not fit the LLM, or `out` holds something else.
    """
    if not (base / RUN).is_file():
        raise SpeechLLMError(f"{base} holds no finished base model", "run stage 4 (base) first")
    if target is not None and (problem := domain_problem(target)):
        raise ConfigError(f"--target: '{target}' cannot be the name of a domain: {problem}")
    if PARENT in read_mapping(base / MODEL / DESCRIPTION, made_again(base)):
        raise ConfigError(f"{base} is no base itself", "name the base that it was adapted from")
    changes = changes_of(base / MODEL)
    read, where = read_adapter(adapter, changes.config), adapter / TENSORS
    one = as_one(_layers(read, changes, base, where, is_base=target is None))
    lora = LoraConfig(
        rank=one.rank,
        alpha=one.alpha,
        dropout=read.dropout,
        targets=tuple(sorted({name.rpartition(".")[2] for name in one.down})),
    )
    with whole_folder(out, lambda _: False) as temporary:
        model = load_bundle(base / MODEL)
        _check_fits(model, one, read.weights, where)
        model.replace_lora(lora)
        names = _put(model, one, read.weights, where)
        if target is None:
            names += [f"projector.{name}" for name in changes.projector]
        set_trainable(model, ("llm.*.lora_*", *names))
        # The path to the base is kept relative; it is the same from `out`, which lies beside.
        parent = None if target is None else base / MODEL
        save_bundle(temporary / MODEL, model, parent, bundle_labels(base / MODEL))
        write_json(temporary / RUN, _record(model, adapter, base, target, read))
    log.info("%s: LoRA of rank %d in %d layers", out, one.rank, len(one.down))


def _layers(
    read: PeftAdapter, changes: Changes, base: Path, where: Path, is_base: bool
) -> dict[str, list[Lora]]:
    if changes.weights:
        raise ConfigError(
            f"{base} trained weights of the LLM itself ({next(iter(changes.weights))}), and the "
            "adapter stands on the pretrained LLM",
            "import it onto a base whose LLM is the pretrained one, with or without LoRA",
        )
    layers: dict[str, list[Lora]] = {name: [lora] for name, lora in read.layers.items()}
    if is_base and changes.config.lora:
        raise ConfigError(f"{base} has LoRA of its own", "import the adapter as a domain: --target")
    for name, loras in changes.layers.items():
        sizes = {(len(lora.up), lora.down.shape[1]) for lora in [*layers.get(name, ()), *loras]}
        if len(sizes) > 1:
            message = f"LoRA of {name} does not fit {changes.config.text_model}"
            raise DataError(message, where, remedy=OTHER)
        layers.setdefault(name, []).extend(lora.negative() for lora in loras)
    return layers


def _check_fits(model: SpeechLLM, one: Adapter, weights: Iterable[str], where: Path) -> None:
    """Raise an error that names a weight which the LLM lacks, or has for two purposes."""
    tied = getattr(model.llm.config.get_text_config(), "tie_word_embeddings", False)
    own = {plain(name) for name, _ in model.llm.named_parameters()}
    for name in [*weights, *(f"{layer}.weight" for layer in one.down)]:
        if tied and name in _ends(model):
            raise ConfigError(
                f"{where.parent}: it changes {name}, which is embedding and head in one in "
                f"{model.config.text_model}",
                "train it again without embed_tokens and lm_head",
            )
        if name not in own:
            message = f"{name} is no weight of {model.config.text_model}"
            raise DataError(message, where, remedy=OTHER)


def _put(model: SpeechLLM, one: Adapter, weights: Mapping[str, Tensor], where: Path) -> list[str]:
    """Put an adapter into the fresh LoRA of a model; return names of whole weights that it has."""
    llm = {n: p for n, p in model.named_parameters() if n.startswith("llm.")}
    own = {plain(name.removeprefix("llm.")): name for name in llm}
    # A layer that shares its last name with adapted ones has LoRA too, of zeros.
    tensors = {name: torch.zeros_like(p) for name, p in llm.items() if ".lora_" in name}
    for layer in one.down:
        tensors[own[layer + DOWN]] = one.down[layer].float().contiguous()
        tensors[own[layer + UP]] = one.up[layer].float().contiguous()
    restore_tensors(model, tensors | {own[name]: w for name, w in weights.items()}, where)
    return [own[name] for name in weights]


def _ends(model: SpeechLLM) -> set[str]:
    """Names of the weights of embedding and head, which may be one parameter."""
    ends = (model.embedding, model.llm.get_output_embeddings())
    return {f"{plain(name)}.weight" for name, module in model.llm.named_modules() if module in ends}


def _record(
    model: SpeechLLM, adapter: Path, base: Path, target: str | None, read: PeftAdapter
) -> dict[str, Any]:
    """Contents of run.json: nothing was trained here."""
    return {
        "kind": "base" if target is None else "adapted",
        "method": METHOD,
        "target": target,
        "task": model.config.task,
        "config": {"model": model.config.model_dump(mode="json"), "adapter": str(adapter)},
        "adapter": {
            "sha256": sha256_of([adapter / CONFIG, adapter / TENSORS]),
            "base_model_name_or_path": read.base,
        },
        "base": str(base),
        "steps": 0,
        "seen": {},
        "trained_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "phases": [{"name": ""}],
        "environment": environment(),
    }
