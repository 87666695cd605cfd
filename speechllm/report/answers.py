"""Tables of every model and test set for tasks whose answers are not words."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from speechllm.report.table import Table, count, rate, rtf
from speechllm.report.tree import Model


def answer_tables(
    exp: Path, models: Sequence[Model], normalizer: str
) -> Iterator[tuple[str, Table]]:
    """Yield a title and a table of all error rates, then one by type, for each task.

    Args:
        exp: exp folder; model folders are shown relative to it.
        models: models of any task; those whose answers are words are left out.
        normalizer: name of the normaliser.
    """
    tasks = {model.task.name: model.task for model in models if not model.task.is_aligned}
    for name, task in tasks.items():
        rows = [
            ([str(model.folder.relative_to(exp)), f"{d.tag}/{d.set}"], d, d.figures(normalizer))
            for model in models
            if model.task.name == name
            for d in model.decodings.values()
            if d.figures(normalizer)
        ]
        titles = {metric.key: metric.title for metric in task.metrics}
        keys = [k for k, v in (rows[0][2] if rows else {}).items() if "percent" in v]
        header = ("model", "dataset", "Snt", *(titles.get(key, key) for key in keys), "RTF")
        yield (
            f"{name}: errors, percent [95 %]",
            Table(
                header,
                [
                    [
                        *where,
                        count(decoding.result["utterances"]),
                        *(rate(figures.get(key)) for key in keys),
                        rtf(decoding.info),
                    ]
                    for where, decoding, figures in rows
                ],
            ),
        )
        types = sorted({kind for _, _, figures in rows for kind in figures.get("by_type", {})})
        if types:
            cells = [
                [*where, *(rate(figures["by_type"].get(kind)) for kind in types)]
                for where, _, figures in rows
            ]
            yield f"{name}: {task.by_type} by type", Table(("model", "dataset", *types), cells)
