"""Model card: README.md of a packed folder, which the hub shows."""

import dataclasses
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path

from speechllm.errors import shell_word
from speechllm.files.layout import DESCRIPTION, MODEL
from speechllm.files.own import made_again, read_mapping
from speechllm.pack.card_header import CardFacts, card_text, licence_keys
from speechllm.pack.card_results import model_index, results_part
from speechllm.pack.manifest import BASE, TRAINING, Manifest, Pretrained, Trained
from speechllm.report.markdown import fenced, text
from speechllm.report.table import ABSENT, Table, number
from speechllm.report.tree import Model

log = logging.getLogger(__name__)

PYTHON = """\
from speechllm import SpeechLLM

model = SpeechLLM.from_pretrained({name})
print(model.transcribe("recording.wav", domain={domain})[0].text)"""
SHELL = "speechllm transcribe --model {name} --domain {domain} recording.wav"
PLACES = {"hub": "the hub", "carried": "inside, {path}", "folder": "not inside"}


def model_card(
    manifest: Manifest, base: Path, models: Mapping[str, Model], tag: str, facts: CardFacts
) -> str:
    """Write the text of README.md. It names no path of this machine.

    Args:
        manifest: manifest of the packed folder.
        base: folder of the base run.
        models: the run of each domain.
        tag: tag of the decoding whose scores are shown.
        facts: what the author says.
    """
    description = read_mapping(base / MODEL / DESCRIPTION, made_again(base))["model"]
    domain = list(manifest.domains)[-1]
    parts = [
        f"# Speech LLM: {text(', '.join(manifest.domains))}",
        f"Packed by speechllm {manifest.speechllm}. A frozen speech encoder, a projector and a "
        "decoder-only LLM; each domain is the base with a few more tensors.",
        "With speechllm installed, in Python:",
        fenced(PYTHON.format(name=json.dumps(facts.name), domain=json.dumps(domain)), "python"),
        "or in a shell:",
        fenced(SHELL.format(name=shell_word(facts.name), domain=shell_word(domain)), "sh"),
        "## Results",
        results_part(base, models, tag),
        "## How it was made",
        Table(
            (
                *("domain", "run", "method", "chosen as"),
                *("seed", "commit of speechllm", "target audio h", "trained M"),
            ),
            [_domain_row(d, t, models[d]) for d, t in manifest.domains.items()],
            names=6,
        ).markdown(),
        f"All settings of a run are in `{BASE}/{TRAINING}` or `domains/<domain>/{TRAINING}`, those "
        "of the search under `decode` in `pack.json`.",
        "## Stands on",
        Table(
            (
                *("part", "model", "revision or source", "licence"),
                *("where", "sha256 (config, weights)"),
            ),
            [_pretrained_row(key, model) for key, model in manifest.pretrained.items()],
            names=6,
        ).markdown(),
        "The licences are what the models' own folders state; `not stated` means that you must "
        "ask their source. The trained tensors are derived from these models and from the data "
        "that they were trained on.",
        "## Prompt",
        fenced(description["prompt"] or "the usual one of the model that it stands on"),
        "Speech takes the place of `<speech>`.",
    ]
    if not facts.languages:
        facts = dataclasses.replace(facts, languages=_languages(description.get("language")))
    return card_text(_header(manifest, models, tag, facts), parts)


def _languages(named: str | None) -> list[str]:
    """Language that a whole Speech LLM is told, if it is a code; some families want words."""
    return [named] if named and re.fullmatch("[a-z]{2,3}", named) else []


def _header(
    manifest: Manifest, models: Mapping[str, Model], tag: str, facts: CardFacts
) -> dict[str, object]:
    parts = manifest.pretrained.values()
    results = model_index(models, tag)
    hub = sorted({model.name for model in parts if model.place == "hub" or model.revision})
    return {
        "library_name": "speechllm",
        "pipeline_tag": models[BASE].task.pipeline_tag,
        "base_model": list(dict.fromkeys([*hub, *facts.base_models])),
        "language": list(facts.languages),
        **licence_keys(facts.licence or _common_licence(manifest)),
        "tags": ["speechllm", "speech-llm"],
        "model_name": results and facts.name.partition("@")[0].rpartition("/")[2],
        "eval_results": results,
    }


def _common_licence(manifest: Manifest) -> str | None:
    """Licence of all pretrained models; None, with a line in the log, if there is no such."""
    licences = {key: model.licence or "not stated" for key, model in manifest.pretrained.items()}
    if len(found := set(licences.values())) == 1 and "not stated" not in found:
        return found.pop()
    each = ", ".join(f"{key}: {licence}" for key, licence in licences.items())
    log.warning("the model card states no licence (%s); choose one with --license", each)
    return None


def _domain_row(domain: str, trained: Trained, model: Model) -> list[str]:
    parameters = model.run.get("trained_parameters")
    return [
        domain,
        trained.run,
        trained.method,
        trained.chosen,
        ABSENT if model.seed is None else str(model.seed),
        str(model.run.get("environment", {}).get("git", ABSENT)),
        number(model.audio_hours),
        number(None if parameters is None else parameters / 1e6),
    ]


def _pretrained_row(key: str, model: Pretrained) -> list[str]:
    return [
        key,
        model.name,
        model.revision or model.source or ABSENT,
        model.licence or "not stated",
        PLACES[model.place].format(path=model.path),
        model.sha256,
    ]
