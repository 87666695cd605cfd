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
from speechllm.files import write_json
from speechllm.locks import locked_folder
from speechllm.made_from import all_sealed, seal_all
from speechllm.own_files import read_mapping
from speechllm.score.counted import Counted, Rate
from speechllm.score.folder import warn_of_missing, write_lines
from speechllm.score.inputs import (
    UTT2SPK,
    Settings,
    made_from,
    speaker_of_each,
    warn_of_few_speakers,
)
from speechllm.score.normalize import normalizer
from speechllm.score.rates import Rates
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
    result_file = out / task.score_file
    old = read_mapping(result_file) if result_file.exists() and all_sealed(out) else {}
    if not force and old.get("made_from") == source:
        warn_of_missing(old, hypothesis, "as wholly wrong")
        return old
    loaded, hypotheses = DataDir.load(reference.parent), read_table(hypothesis, strict=False)
    rates = Rates(settings.resamples, settings.seed)
    if settings.by_speaker:
        blocks = speaker_of_each(loaded.text, reference.with_name(UTT2SPK))
        warn_of_few_speakers(blocks, reference)
        rates = Rates(settings.resamples, settings.seed, blocks)
    found = {
        normalizer(name).name: task.count_set(loaded, hypotheses, name, labels)
        for name in settings.normalizers
    }
    first = next(iter(found.values()))
    result = {
        "set": reference.parent.name,
        "utterances": len(first.ids),
        "missing": list(first.missing),
        "scores": {name: _figures(counted, rates) for name, counted in found.items()},
        "made_from": source,
    }
    written: list[str] = []
    with locked_folder(out):
        for name, counted in found.items():
            listings = {f"{stem}.{name}.txt": ls for stem, ls in task.listings(counted).items()}
            listings[f"utterances.{name}.tsv"] = _utterances(task, counted)
            for listing, lines in listings.items():
                write_lines(out / listing, lines)
            written += listings
        for name in old.get("scores", {}).keys() - found.keys():
            for path in out.glob(f"*.{name}.t??"):  # they show hypotheses of an earlier run
                path.unlink()
        write_json(result_file, result)
        seal_all(out, [*written, result_file.name])
    warn_of_missing(result, hypothesis, "as wholly wrong")
    return result


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
            low_high = rate["interval"]
            interval = "[{:.2f}, {:.2f}]".format(*low_high) if low_high else "[-, -]"
            counts = f"[ {rate['errors']:g} / {rate['reference']:g} ]"
            shown.append(f"%{figure.title} {percent} {counts} {interval}")
        lines.append(f"{'; '.join(shown)} {name} {result['set']} {what}")
    return lines
