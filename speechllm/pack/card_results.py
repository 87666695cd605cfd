"""Scores of a packed model for its card: the hub's model-index, and the table."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from huggingface_hub import EvalResult

from speechllm.experiment import is_set_of
from speechllm.report.comparison import compare, legend
from speechllm.report.markdown import code
from speechllm.report.results import bullets, interval_lines
from speechllm.report.table import ABSENT
from speechllm.report.tree import BaseRuns, Decoding, Model, read_families

NORMALIZER = "plain"


def model_index(models: Mapping[str, Model], tag: str) -> list[EvalResult]:
    """Main error of each domain on each set that its run was scored on, with its interval.

    Args:
        models: the run of each domain.
        tag: tag of the decoding whose scores are taken.
    """
    return [
        EvalResult(
            task_type=model.task.pipeline_tag,
            dataset_type=decoding.set,
            dataset_name=decoding.set,
            metric_type=model.task.main.key,
            metric_name=f"{model.task.main.title}, domain {domain}",
            metric_value=round(error["percent"], 2),
            metric_args={
                "domain": domain,
                "interval_95": [round(end, 2) for end in error["interval"] or ()],
                "normalizer": NORMALIZER,
                "utterances": decoding.result["utterances"],
            },
        )
        for domain, model in models.items()
        for decoding in _scored(model, tag)
        if (error := decoding.error(NORMALIZER)).get("percent") is not None
    ]


def results_part(base: Path, models: Mapping[str, Model], tag: str) -> str:
    """Table of results in Markdown: the rows of the report's main table for packed models.

    Args:
        base: folder of the base run.
        models: the run of each domain, the base's among them.
        tag: tag of the decoding whose scores are shown.
    """
    home = next(f for f in read_families(base.parent) if f.folder == base)
    cells = [m for m in models.values() if m.folder not in {x.folder for x in home.models}]
    adapted = [_current(model) for model in (*home.adapted, *cells)]
    family = BaseRuns(base, home.base and _current(home.base), adapted)
    table = compare(family, tag, NORMALIZER).table
    packed = {(model.target, model.name) for model in models.values()}
    rows = [row for row in table.rows if any(_is_row_of(row, *model) for model in packed)]
    if all(row[2] == ABSENT for row in rows):
        return f"Nothing was scored with the decoding {code(tag)} when this was packed."
    how = interval_lines(d.result for model in models.values() for d in _scored(model, tag))
    return "\n\n".join(
        (
            f"Decoding {code(tag)}, normaliser `{NORMALIZER}`.",
            dataclasses.replace(table, rows=rows).markdown(),
            f"{legend(family.task)}\n{bullets(how)}",
        )
    )


def _is_row_of(row: Sequence[str], target: str | None, name: str) -> bool:
    where, of, *_ = row
    return of == name and (target is None or where == target or is_set_of(target, where))


def _scored(model: Model, tag: str) -> Iterator[Decoding]:
    for (own, _), decoding in sorted(_current(model).decodings.items()):
        if own == tag and decoding.result:
            yield decoding


def _current(model: Model) -> Model:
    """The model without decodings that have changed since they were scored."""
    kept = {key: found for key, found in model.decodings.items() if not found.is_stale}
    return dataclasses.replace(model, decodings=kept)
