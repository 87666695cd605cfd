"""Scores of a file of answers of any task: contents of `<task>.json` and its listings."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from speechllm.data.dirs.answers import read_targets
from speechllm.data.dirs.kaldi import DataDir, read_table
from speechllm.errors import DataError
from speechllm.score.counts import Counted, Rate
from speechllm.score.inputs import Settings
from speechllm.score.normalize.normalize import normalizer
from speechllm.score.rates import Rates, rates_of
from speechllm.score.write import Scored, interval_text
from speechllm.task import Labels, Task


def counted_scores(
    task: Task, reference: Path, hypothesis: Path, settings: Settings, labels: Labels | None
) -> dict[str, Scored]:
    """Score `hypothesis` against a data dir's table of answers, by normaliser; see `Task.scores`.

    Args:
        task: the task of the answers.
        reference: the task's table in a data dir.
        hypothesis: Kaldi table of the hypotheses.
        settings: normalisers and bootstrap.
        labels: labels of the model's training data; None if they are not known.

    Raises:
        DataError: `reference` is another table than the task's; or see `read_targets`.
        SpeechLLMError: ids of hypotheses have no reference.
    """
    if reference.name != task.table:
        remedy = f"name the table {task.table} of a data dir"
        raise DataError(f"is no reference of the task {task.name}", reference, remedy=remedy)
    data_dir, hypotheses = DataDir.load(reference.parent), read_table(hypothesis, strict=False)
    targets = read_targets(task, data_dir)
    rates = rates_of(settings, targets, reference)
    found = {}
    for name in settings.normalizers:
        counted = task.count(targets, hypotheses, name, labels, data_dir.entities)
        listings = {f"{stem}.txt": lines for stem, lines in task.listings(counted).items()}
        found[normalizer(name).name] = Scored(
            len(counted.ids),
            counted.missing,
            _figures(counted, rates),
            {**listings, "utterances.tsv": _utterances(task, counted)},
        )
    return found


def _figures(counted: Counted, rates: Rates) -> dict[str, dict[str, Any]]:
    def rate(of: Rate) -> dict[str, Any]:
        return {
            "percent": of.percent,
            "interval": rates.interval(of.errors, of.reference),
            "errors": _plain(of.errors.sum()),
            "reference": _plain(of.reference.sum()),
        }

    return {
        **{key: rate(of) for key, of in counted.rates.items()},
        "by_type": {name: rate(of) for name, of in counted.by_type.items()},
        "remarks": {
            what: list(about) for what, about in {**counted.set_remarks, **counted.remarks}.items()
        },
        **counted.extra,
    }


def _utterances(task: Task, counted: Counted) -> Iterator[str]:
    """Yield the main metric of every utterance, parted by tabs: id, reference, metric, errors."""
    yield "\t".join(("utterance", "reference", "figure", "errors"))
    rate = counted.rates[task.main.key]
    for utt, errors, reference in zip(counted.ids, rate.errors, rate.reference, strict=True):
        yield f"{utt}\t{_plain(reference)}\t{task.main.key}\t{_plain(errors)}"


def _plain(value: Any) -> float:
    """Sum rounded to 6 decimals, which removes rounding noise; an int if it is whole."""
    value = round(float(value), 6)
    return int(value) if value.is_integer() else value


def metric_lines(task: Task, result: Mapping[str, Any], what: str | Path) -> list[str]:
    """Return a line for each normaliser of a score, with all metrics of the task.

    Args:
        task: the task that was scored.
        result: contents of its score file.
        what: name of the hypotheses.
    """
    lines = []
    for name, figures in result["scores"].items():
        shown = []
        for metric in task.metrics:
            rate = figures[metric.key]
            percent = "-" if rate["percent"] is None else f"{rate['percent']:.2f}"
            interval = interval_text(rate["interval"])
            counts = f"[ {rate['errors']:g} / {rate['reference']:g} ]"
            shown.append(f"%{metric.title} {percent} {counts} {interval}")
        lines.append(f"{'; '.join(shown)} {name} {result['set']} {what}")
    return lines
