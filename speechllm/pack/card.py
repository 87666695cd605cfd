"""Model card: README.md of a packed folder, which the hub shows."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import yaml

from speechllm.files.layout import DESCRIPTION, MODEL
from speechllm.files.own import made_again, read_mapping
from speechllm.pack.manifest import BASE, Manifest, Pretrained, Trained
from speechllm.report.comparison import compare, legend
from speechllm.report.markdown import code, fenced, text
from speechllm.report.table import ABSENT, Table, number
from speechllm.report.tree import BaseRuns, Model, read_families

NORMALIZER = "plain"

USE = """\
With speechllm installed:

    speechllm transcribe --model {folder} --domain {domain} recording.wav

or, in Python,

    from speechllm import SpeechLLM
    model = SpeechLLM.from_pretrained("{folder}")
    print(model.transcribe("recording.wav", domain="{domain}")[0].text)"""


def model_card(manifest: Manifest, base: Path, models: Mapping[str, Model], tag: str) -> str:
    """Write the text of README.md.

    Args:
        manifest: manifest of the packed folder.
        base: folder of the base run.
        models: the run of each domain.
        tag: tag of the decoding whose scores are shown.
    """
    description = read_mapping(base / MODEL / DESCRIPTION, made_again(base))["model"]
    parts = [
        _front_matter(manifest, models[BASE].task.pipeline_tag),
        f"# Speech LLM: {text(', '.join(manifest.domains))}",
        f"Packed by speechllm {manifest.speechllm}. A frozen speech encoder, a projector and a "
        "decoder-only LLM; each domain is the base with a few more tensors.",
        USE.format(folder="<this folder>", domain=list(manifest.domains)[-1]),
        "## Domains",
        Table(
            ("domain", "run", "method", "chosen as", "target audio h", "trained M"),
            [_domain_row(d, t, models[d]) for d, t in manifest.domains.items()],
            names=4,
        ).markdown(),
        "## Results",
        _results(base, models, tag),
        "## Stands on",
        Table(
            (
                "part",
                "model",
                "revision or source",
                "licence",
                "where",
                "sha256 (config, weights)",
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
    return "\n\n".join(parts) + "\n"


def _front_matter(manifest: Manifest, pipeline_tag: str) -> str:
    hub = sorted({m.name for m in manifest.pretrained.values() if m.place == "hub" or m.revision})
    values = {
        "library_name": "speechllm",
        "pipeline_tag": pipeline_tag,
        **({"base_model": hub} if hub else {}),
    }
    return f"---\n{yaml.safe_dump(values, sort_keys=False)}---"


def _domain_row(domain: str, trained: Trained, model: Model) -> list[str]:
    parameters = model.run.get("trained_parameters")
    return [
        domain,
        trained.run,
        trained.method,
        trained.chosen,
        number(model.audio_hours),
        number(None if parameters is None else parameters / 1e6),
    ]


def _pretrained_row(key: str, model: Pretrained) -> list[str]:
    where = {"hub": "the hub", "carried": f"inside, {model.path}", "folder": model.path}
    return [
        key,
        model.name,
        model.revision or model.source or ABSENT,
        model.licence or "not stated",
        where[model.place],
        model.sha256,
    ]


def _results(base: Path, models: Mapping[str, Model], tag: str) -> str:
    """Table of results: the rows of the report's main table for packed models."""
    home = next(f for f in read_families(base.parent) if f.folder == base)
    cells = [m for m in models.values() if m.folder not in {x.folder for x in home.models}]
    family = BaseRuns(base, home.base, [*home.adapted, *cells])
    comparison = compare(family, tag, NORMALIZER)
    packed = {(model.target, model.name) for model in models.values()}
    rows = [
        row
        for row in comparison.table.rows
        if row[1] == models[BASE].name or (row[0], row[1]) in packed
    ]
    if all(row[2] == ABSENT for row in rows):
        return f"Nothing was scored with the decoding {code(tag)} when this was packed."
    table, meaning = dataclasses.replace(comparison.table, rows=rows), legend(family.task)
    return f"Decoding {code(tag)}, normaliser `{NORMALIZER}`.\n\n{table.markdown()}\n\n{meaning}"
