"""The scores of a file of answers of any task: what `<task>.json` and its listings hold."""

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

    Raises:
        DataError: `reference` is another table than the task's; or see `read_targets`.
        SpeechLLMError: hypotheses with ids that the references lack.
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
    """The main error of every utterance, parted by tabs: id, of how much, which error, errors."""
    yield "\t".join(("utterance", "reference", "figure", "errors"))
    rate = counted.rates[task.main.key]
    for utt, errors, reference in zip(counted.ids, rate.errors, rate.reference, strict=True):
        yield f"{utt}\t{_plain(reference)}\t{task.main.key}\t{_plain(errors)}"


def _plain(value: Any) -> float:
    """A sum without the noise of its last digits; whole where it is whole."""
    value = round(float(value), 6)
    return int(value) if value.is_integer() else value


def metric_lines(task: Task, result: Mapping[str, Any], what: str | Path) -> list[str]:
    """A line for each normaliser of a score, with all metrics of the task."""
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
