"""Score a file of answers of any task into a folder: `<task>.json` and the task's own listings.

What `folder` does for words, for everything that a task can count.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from speechllm.data.kaldi import DataDir, read_table
from speechllm.errors import DataError
from speechllm.score.counted import Counted, Rate
from speechllm.score.inputs import (
    UTT2SPK,
    Settings,
    made_from,
    speaker_of_each,
    warn_of_few_speakers,
)
from speechllm.score.normalize import normalizer
from speechllm.score.rates import Rates
from speechllm.score.write import Scored, interval_text, write_scores
from speechllm.tasks.task import Labels, Task


def score_answers(
    task: Task,
    reference: Path,
    hypothesis: Path,
    out: Path,
    settings: Settings,
    labels: Labels | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Score `hypothesis` against a data dir; see `Task.score`.

    Work that was done with the same inputs, settings and version is not done again. The score
    file is written last: where it is, the listings are too.
    """
    if reference.name != task.table:
        remedy = f"name the table {task.table} of a data dir"
        raise DataError(f"is no reference of the task {task.name}", reference, remedy=remedy)
    source = {
        "task": task.name,
        "labels": None if labels is None else _digest(labels),
        **made_from(reference, hypothesis, settings),
    }

    def scored() -> dict[str, Scored]:
        data_dir, hypotheses = DataDir.load(reference.parent), read_table(hypothesis, strict=False)
        rates = Rates(settings.resamples, settings.seed)
        if settings.by_speaker:
            blocks = speaker_of_each(data_dir.text, reference.with_name(UTT2SPK))
            warn_of_few_speakers(blocks, reference)
            rates = Rates(settings.resamples, settings.seed, blocks)
        found = {}
        for name in settings.normalizers:
            counted = task.count_set(data_dir, hypotheses, name, labels)
            listings = {f"{stem}.txt": lines for stem, lines in task.listings(counted).items()}
            found[normalizer(name).name] = Scored(
                len(counted.ids),
                counted.missing,
                _figures(counted, rates),
                {**listings, "utterances.tsv": _utterances(task, counted)},
            )
        return found

    file = out / task.score_file
    return write_scores(file, hypothesis, source, scored, "as wholly wrong", force)


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


def _digest(labels: Labels) -> str:
    return hashlib.sha256(json.dumps(dict(labels), sort_keys=True).encode()).hexdigest()


def figure_lines(task: Task, result: Mapping[str, Any], what: str | Path) -> list[str]:
    """A line for each normaliser of a score, with all figures of the task."""
    lines = []
    for name, figures in result["scores"].items():
        shown = []
        for figure in task.figures:
            rate = figures[figure.key]
            percent = "-" if rate["percent"] is None else f"{rate['percent']:.2f}"
            interval = interval_text(rate["interval"])
            counts = f"[ {rate['errors']:g} / {rate['reference']:g} ]"
            shown.append(f"%{figure.title} {percent} {counts} {interval}")
        lines.append(f"{'; '.join(shown)} {name} {result['set']} {what}")
    return lines
