"""Main table of the report: the models of each target side by side, and which is best."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from speechllm.experiment import target_set
from speechllm.report.gains import forgetting, gain, gap_closed
from speechllm.report.markdown import code, text
from speechllm.report.table import ABSENT, Table, change, count, interval, number, rate, rtf
from speechllm.report.tree import BaseRuns, Model
from speechllm.task import Task


def header(task: Task) -> tuple[str, ...]:
    """Columns of the main table."""
    return (
        *("target", "model", f"{task.main.title} [95 %]", *task.details),
        *(f"source {task.main.title}", "source change", "gain %", "gap closed %"),
        *("audio h", "steps", "trained M", "RTF"),
    )


def legend(task: Task) -> str:
    """Legend of the main table, as a Markdown list."""
    error = task.main.title
    return f"""\
- {task.legend()}; on the target's test set, or on the further set that is named instead, in
  percent, with 95 % intervals.
- source {error}: of the same model on the source test set; source change: what adaptation added to
  it (forgetting), in points; below zero it has become better.
- gain: relative reduction of the base's {error}. gap closed: (base - model) / (base - audio), where
  audio is the model fine-tuned on the most audio of that target.
- audio h: hours of the target's own audio trained on; trained M: trained parameters in millions;
  RTF: seconds of encoding (stage 3) and of decoding per second of
  audio, on the same set."""


@dataclass(frozen=True)
class Comparison:
    """Models of one base under one decode config and one normaliser."""

    title: str
    table: Table
    verdicts: list[str]


def compare(family: BaseRuns, tag: str, normalizer: str) -> Comparison:
    """Compare a base and the models adapted from it, target by target.

    Args:
        family: a base and its models.
        tag: tag of the decoding.
        normalizer: name of the normaliser.
    """
    rows = [
        _row(family, model, target, name, tag, normalizer)
        for target in family.targets
        for name in (target_set(target), *family.further_sets(target))
        for model in contenders(family, target)
    ]
    return Comparison(
        f"Base {family.folder.name}, decoding {tag}, normaliser {normalizer}",
        Table(header(family.task), rows),
        [_verdict(family, target, tag, normalizer) for target in family.targets],
    )


def contenders(family: BaseRuns, target: str) -> list[Model]:
    """Models shown for `target`: the base, references, and models adapted to it."""
    return [m for m in family.models if target in m.own_targets([target])]


def _row(
    family: BaseRuns, model: Model, target: str, name: str, tag: str, normalizer: str
) -> list[str]:
    def percent(of: Model | None, name: str) -> float | None:
        return of.error(tag, name, normalizer).get("percent") if of else None

    error, source = percent(model, name), percent(model, family.source)
    before = family.base if model.target else None  # the base has no gain over itself
    base_error, audio_error = percent(before, name), percent(family.audio_reference(target), name)
    here = model.error(tag, name, normalizer)
    decoding = model.decodings.get((tag, name))
    parameters = model.run.get("trained_parameters")
    return [
        target if name == target_set(target) else name,
        model.name,
        f"{number(error)} {interval(here['interval'])}" if here else ABSENT,
        *_details(model.task, decoding.figures(normalizer) if decoding else {}),
        number(source),
        change(forgetting(source, percent(before, family.source))),
        number(gain(error, base_error)),
        number(gap_closed(error, base_error, audio_error)),
        number(0.0 if model.is_base else model.run.get("audio_hours_target")),
        count(model.run.get("steps")),
        number(None if parameters is None else parameters / 1e6),
        rtf(decoding.info if decoding else {}),
    ]


def _details(task: Task, figures: Mapping[str, Any]) -> Iterator[str]:
    """Cells for details beside the main error: a rate, or counts of a rate."""
    for key, *counts in task.details.values():
        found = figures.get(key)
        if counts:
            yield " / ".join(count(found[name]) for name in counts) if found else ABSENT
        else:
            yield rate(found)


def _verdict(family: BaseRuns, target: str, tag: str, normalizer: str) -> str:
    """Say which model is best on `target`, overall and without the audio reference."""
    models = contenders(family, target)
    audio = family.audio_reference(target)
    overall = _best(models, target, tag, normalizer)
    verdict = f"**{text(target)}**: {overall or 'nothing is scored'}."
    others = _best([m for m in models if m is not audio], target, tag, normalizer)
    if audio and others and others != overall:
        verdict += f" Without the audio reference {code(audio.name)}: {others}."
    return verdict


def _best(models: Iterable[Model], target: str, tag: str, normalizer: str) -> str | None:
    """Name the best model and the runner-up, and say whether their intervals overlap.

    Models with the same error are named together: there is no best among them.
    """
    level: dict[float, list[Model]] = {}
    for model in models:
        percent = model.error(tag, target_set(target), normalizer).get("percent")
        if percent is not None:
            level.setdefault(percent, []).append(model)
    if not level:
        return None
    places = [sorted(level[percent], key=lambda m: m.name) for percent in sorted(level)][:2]
    spans = [place[0].error(tag, target_set(target), normalizer)["interval"] for place in places]
    shown = [
        f"{_together(place, tag, target_set(target))} {number(percent)} {interval(span)}"
        for place, percent, span in zip(places, sorted(level), spans, strict=False)
    ]
    if len(level) == 1:
        return f"{shown[0]}, {'the only one' if len(places[0]) == 1 else 'the only ones'} scored"
    verb = "is" if len(places[0]) == 1 else "are"
    return f"{shown[0]} {verb} best, then {shown[1]}; {_overlap(*spans)}"


def _together(models: list[Model], tag: str, name: str) -> str:
    """Name models with the same error on the set `name`; say if their hypotheses are equal too."""
    *others, last = (code(model.name) for model in models)
    if not others:
        return last
    heard = {
        model.decodings[tag, name].result["made_from"]["hypothesis"]["sha256"] for model in models
    }
    kind = "the same hypotheses" if len(heard) == 1 else f"the same {models[0].task.main.title}"
    return f"{', '.join(others)} and {last} ({kind})"


def _overlap(one: list[float] | None, other: list[float] | None) -> str:
    if not one or not other:
        return "there are no intervals to compare"
    if one[0] <= other[1] and other[0] <= one[1]:
        return "their intervals overlap, so the order may be chance"
    return "their intervals do not overlap"
