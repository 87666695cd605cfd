"""Writer of merged models: folders that transformers loads by itself, one for each domain."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from speechllm.config import ModelConfig
from speechllm.convert.peft.beside import write_beside
from speechllm.convert.peft.card import merged_card
from speechllm.convert.peft.changes import Changes, changes_of
from speechllm.convert.peft.export import runs_of
from speechllm.convert.peft.names import Names, plain
from speechllm.convert.peft.push import facts_of_each
from speechllm.convert.peft.read import CONFIG
from speechllm.errors import ConfigError
from speechllm.files.layout import MODEL
from speechllm.files.own import read_mapping
from speechllm.files.whole import whole_folder
from speechllm.model.bundle import load_bundle
from speechllm.model.llm import load_llm, merge_lora
from speechllm.model.whole.whole import load_in_one_piece
from speechllm.pack.card_header import CardFacts
from speechllm.pack.files import CARD
from speechllm.pack.pretrained import CARRIED, licence_files
from speechllm.pretrained import resolve_folder

log = logging.getLogger(__name__)

WEIGHTS = (".safetensors", ".index.json")


def write_merged(
    base: Path, out: Path, patterns: Sequence[str] = (), facts: CardFacts | None = None
) -> list[str]:
    """Write the base and one model of each domain, all adapters folded in.

    A whole Speech LLM becomes one of its own class. Of encoder + projector + LLM the LLM is
    written, and the projector beside it.

    Args:
        base: folder of the base run.
        out: folder to write; it gets a folder for each domain.
        patterns: patterns of runs to choose from (see `speechllm.pack.choose`).
        facts: what the model cards say besides.

    Returns:
        Names of the domains written.

    Raises:
        SpeechLLMError: there is no finished base, or a model is damaged.
        ConfigError: the LLM is kept in 4 bits or needs code of its own; or see `choose`.
        DataError: there is something else in the place of `out`.
    """
    runs = runs_of(base, patterns)
    found = {domain: changes_of(run / MODEL) for domain, run in runs.items()}
    for changes in found.values():
        check_mergeable(changes.config)
    each = facts_of_each({d: c.config for d, c in found.items()}, facts, is_whole=True)
    with whole_folder(out, lambda _: False) as temporary:
        for domain, run in runs.items():
            _write(temporary / domain, domain, run / MODEL, found[domain], each[domain])
    log.info("wrote %s: %s", out, ", ".join(runs))
    return list(runs)


def check_mergeable(config: ModelConfig) -> None:
    """Raise ConfigError for an LLM in 4 bits, or one that needs code of its own."""
    if config.load_in_4bit:
        raise ConfigError(
            "model.load_in_4bit: merging would round the LLM's weights anew",
            "write the adapter instead, without --merge",
        )
    if "auto_map" in read_mapping(_source(config) / "config.json"):
        raise ConfigError(
            f"{config.text_model} needs code of its own, which is never packed",
            "write the adapter instead, without --merge",
        )


def _source(config: ModelConfig) -> Path:
    return resolve_folder(
        config.text_model, "model.speech_llm" if config.speech_llm else "model.llm"
    )


def _write(folder: Path, domain: str, bundle: Path, changes: Changes, facts: CardFacts) -> None:
    names, config = Names(changes.config), changes.config
    ours = load_bundle(bundle)
    llm = merge_lora(ours.llm)
    theirs: Any = load_in_one_piece(config) if names.is_whole else load_llm(config)
    parameters = dict(theirs.named_parameters())
    values = {names.to_theirs(plain(name)): p for name, p in llm.named_parameters()}
    if names.is_whole:
        own = ours.projector.module.named_parameters()
        values |= {names.projector + name: p for name, p in own}
    for name, value in values.items():
        parameters[name].data = value.data.to(parameters[name].dtype)
    if getattr(theirs, "_hf_peft_config_loaded", False):  # its own adapter is folded in too
        theirs._hf_peft_config_loaded, theirs.config.has_lora_adapter = False, False
        theirs._weight_conversions = None  # those of the adapter's names
    folder.mkdir(parents=True)
    for path in _beside_weights(_source(config)):
        shutil.copyfile(path, folder / path.name)
    theirs.save_pretrained(folder)
    write_beside(folder, domain, changes, merged=True)
    files = sorted(path.name for path in folder.iterdir())
    card = merged_card(domain, config, files, facts)
    (folder / CARD).write_text(card, encoding="utf-8")


def _beside_weights(source: Path) -> Iterator[Path]:
    """Tokenizer, processor, template and licence in a model's folder."""
    licences = set(licence_files(source))
    for path in source.iterdir():
        kept = path.suffix in CARRIED and not path.name.endswith(WEIGHTS)
        ours = path.name == CONFIG or path.name.lower() == "readme.md"
        if path.is_file() and not ours and (kept or path in licences):
            yield path
