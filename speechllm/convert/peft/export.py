"""Writer of PEFT adapter folders: one for each domain, with what it trained beyond LoRA beside it.

<domain>/adapter_config.json, adapter_model.safetensors    the adapter
<domain>/projector.safetensors       projector (and CTC head) of an encoder + projector + LLM
<domain>/weights.safetensors         trained weights of transformers' own class, by its names
<domain>/speechllm.json              the parts, the prompt, and the run
<domain>/README.md                   model card
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save_file

from speechllm.convert.peft.beside import write_beside
from speechllm.convert.peft.card import adapter_card, hub_name
from speechllm.convert.peft.changes import Changes, changes_of
from speechllm.convert.peft.lora import as_one
from speechllm.convert.peft.names import PREFIX, Format, Names
from speechllm.convert.peft.push import facts_of_each
from speechllm.convert.peft.read import CONFIG, TENSORS
from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.files.layout import MODEL, RUN
from speechllm.files.whole import whole_folder, write_json
from speechllm.pack.card_header import CardFacts
from speechllm.pack.choose import choose
from speechllm.pack.files import CARD
from speechllm.pack.manifest import BASE

log = logging.getLogger(__name__)

MERGE = "write the models merged: --merge"


def write_adapters(
    base: Path,
    out: Path,
    patterns: Sequence[str] = (),
    format: Format = "peft",
    facts: CardFacts | None = None,
) -> list[str]:
    """Write an adapter folder for a base, if it has LoRA, and for one model of each domain.

    Args:
        base: folder of the base run.
        out: folder to write; it gets a folder for each domain.
        patterns: patterns of runs to choose from (see `speechllm.pack.choose`).
        format: whose names the weights get.
        facts: what the model cards say besides.

    Returns:
        Names of the domains written.

    Raises:
        SpeechLLMError: there is no finished base, or a model is damaged.
        ConfigError: a domain has no LoRA, or for vLLM trained more than that; or see `choose` and
            `facts_of_each`.
        DataError: there is something else in the place of `out`.
    """
    found = {domain: changes_of(run / MODEL) for domain, run in runs_of(base, patterns).items()}
    if not found[BASE].layers:
        log.info("%s: it has no LoRA, so there is no adapter of the base", base)
        del found[BASE]
    for domain, changes in found.items():
        _check(domain, changes, format)
    if not found:
        raise ConfigError(f"{base} has no LoRA, and no domain", MERGE)
    each = facts_of_each({d: c.config for d, c in found.items()}, facts, is_whole=False)
    with whole_folder(out, lambda _: False) as temporary:
        for domain, changes in found.items():
            _write(temporary / domain, domain, changes, format, each[domain])
    log.info("wrote %s: %s", out, ", ".join(found))
    return list(found)


def runs_of(base: Path, patterns: Sequence[str]) -> dict[str, Path]:
    """Folders of the base's run and of the run chosen for each domain, by domain.

    Raises:
        SpeechLLMError: there is no finished base.
        ConfigError: see `choose`.
    """
    if not (base / RUN).is_file():
        raise SpeechLLMError(f"{base} holds no finished base model", "run stage 4 (base) first")
    chosen = choose(base, patterns)
    for domain, choice in chosen.items():
        log.info("%s: %s (%s)", domain, choice.model.folder, choice.reason)
    return {BASE: base, **{domain: choice.model.folder for domain, choice in chosen.items()}}


def _check(domain: str, changes: Changes, format: Format) -> None:
    if not changes.layers:
        what = "llm" if changes.weights else "projector"
        raise ConfigError(
            f"{domain}: it trained no LoRA but weights of the {what}, which no adapter can hold",
            f"{MERGE}, or leave it out with --models",
        )
    is_whole = changes.config.speech_llm is not None
    if format == "vllm" and (changes.weights or (is_whole and changes.projector)):
        names = [*changes.weights, *(f"projector.{name}" for name in changes.projector)]
        raise ConfigError(
            f"{domain}: it trained {names[0]} and {len(names) - 1} more weights beside its LoRA, "
            "which vLLM does not load with an adapter",
            f"{MERGE}, or leave it out with --models",
        )


def _write(folder: Path, domain: str, changes: Changes, format: Format, facts: CardFacts) -> None:
    names, adapter = Names(changes.config), as_one(changes.layers)
    layers = {layer: names.to_theirs(layer, format) for layer in sorted(adapter.down)}
    lora = changes.config.lora
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": hub_name(changes.config, facts) or changes.config.text_model,
        "inference_mode": True,
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": lora.dropout if lora else 0.0,
        # Each by its whole name: a tower of a Speech LLM has layers of the same short names.
        "target_modules": list(layers.values()),
        "bias": "none",
        "modules_to_save": None,
        "use_rslora": False,
        "use_dora": False,
    }  # all else is usual, and older releases of PEFT do not know it
    folder.mkdir(parents=True)
    write_json(folder / CONFIG, settings)
    tensors = {}
    for layer, theirs in layers.items():
        tensors[f"{PREFIX}{theirs}.lora_A.weight"] = adapter.down[layer].contiguous()
        tensors[f"{PREFIX}{theirs}.lora_B.weight"] = adapter.up[layer].contiguous()
    save_file(tensors, folder / TENSORS, metadata={"format": "pt"})
    write_beside(folder, domain, changes)
    files = sorted(path.name for path in folder.iterdir())
    card = adapter_card(domain, changes.config, adapter, files, format, facts)
    (folder / CARD).write_text(card, encoding="utf-8")
