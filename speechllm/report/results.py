"""RESULTS.md: what the models of an exp folder reach, and how that was found."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import speechllm
from speechllm.report.comparison import LEGEND, Comparison, compare
from speechllm.report.notes import notes
from speechllm.report.table import ABSENT, Table, count, interval, number, rtf
from speechllm.report.tree import Decoding, Model, read_families

# What is printed of a run's environment block (speechllm/environment.py).
ENVIRONMENT = (
    *("speechllm", "git", "python", "torch", "transformers", "peft"),
    *("system", "processor", "threads"),
)


@dataclass(frozen=True)
class Results:
    """The text of RESULTS.md, and the parts of it that a terminal wants to see."""

    markdown: str
    comparisons: list[Comparison]
    notes: list[str]


def make_results(
    exp: Path,
    title: str = "Results",
    normalizer: str = "plain",
    command: str | None = None,
    grids: Sequence[str] = (),
) -> Results:
    """Report on everything below `exp`.

    Args:
        exp: the recipe's exp folder.
        title: heading of the report.
        normalizer: of the main table; the detailed tables show all that were used.
        command: the command that made these results, to be quoted.
        grids: files beside the report with comparisons of these models, to be linked.

    Raises:
        DataError: there is no model below `exp`, or a file of results is broken.
    """
    families = read_families(exp)
    models = [model for family in families for model in family.models]
    comparisons = [
        compare(family, tag, normalizer) for family in families for tag in family.tags or [ABSENT]
    ]
    remarks = notes(exp, families, normalizer)
    parts = [
        f"# {title}",
        f"Made by `speechllm report` {speechllm.__version__} on {date.today().isoformat()}; "
        "do not edit.",
        grids and "Methods, seeds and tests: " + ", ".join(f"[{name}]({name})" for name in grids),
        "## Environment",
        bullets(environment_lines([model.run for model in models])),
        "## How these results were made",
        bullets(_method(models, command)),
        "## Target domains",
    ]
    for comparison in comparisons:
        parts += [f"### {comparison.title}", comparison.table.markdown()]
        parts += [bullets(comparison.verdicts)]
    parts += ["Columns:", LEGEND]
    if remarks:
        parts += ["## Notes", bullets(remarks)]
    for name in _normalizers(models):
        parts += [f"## Every model and test set, normaliser {name}"]
        parts += ["### WER", _details(exp, models, name, "wer").markdown()]
        parts += ["### CER", _details(exp, models, name, "cer").markdown()]
    return Results("\n\n".join(filter(None, parts)) + "\n", comparisons, remarks)


def environment_lines(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Versions as the runs recorded them; where runs differ, every value and how many had it."""
    for key in ENVIRONMENT:
        values = Counter(run.get("environment", {}).get(key, ABSENT) for run in runs)
        each = [f"{value} (in {n} of {len(runs)} models)" for value, n in values.most_common()]
        yield f"{key}: {next(iter(values)) if len(values) == 1 else ', '.join(each)}"


def _method(models: list[Model], command: str | None) -> Iterator[str]:
    if command:
        yield f"command: `{command}` (that of each model is in its run.json)"
    seeds = {m.run.get("config", {}).get("train", {}).get("seed") for m in models} - {None}
    yield f"training seed: {', '.join(map(str, sorted(seeds))) or ABSENT}"
    results = [result for _, result in _results(models)]
    for name in _normalizers(models):
        for rules in sorted({tuple(_rules(result, name)) for result in results} - {()}):
            yield f"normaliser {name}, on both sides: {'; '.join(rules)}"
    for how in sorted({tuple(sorted(r["made_from"]["bootstrap"].items())) for r in results}):
        bootstrap = dict(how)
        yield (
            f"intervals: {100 * bootstrap['level']:g} %, bootstrap over each {bootstrap['unit']}, "
            f"{bootstrap['resamples']} resamples, seed {bootstrap['seed']}"
        )
    yield "CER counts the single space between two words as a character"


def _results(models: list[Model]) -> Iterator[tuple[Decoding, dict[str, Any]]]:
    for model in models:
        for decoding in model.decodings.values():
            if decoding.result:
                yield decoding, decoding.result


def _rules(result: dict[str, Any], normalizer: str) -> list[str]:
    return result["made_from"]["normalizers"].get(normalizer, [])


def _normalizers(models: list[Model]) -> list[str]:
    """Names in the order in which they were first used."""
    return list(dict.fromkeys(name for _, result in _results(models) for name in result["scores"]))


def _details(exp: Path, models: list[Model], normalizer: str, kind: str) -> Table:
    """The table that ESPnet users know, in percent, for words (`wer`) or characters (`cer`)."""
    unit, last = {"wer": ("Wrd", ("RTF",)), "cer": ("Chr", ())}[kind]
    columns = ("Snt", unit, "Corr", "Sub", "Del", "Ins", "Err", "S.Err", "95 % interval", *last)
    rows = []
    for model in models:
        for decoding in model.decodings.values():
            figures = decoding.figures(normalizer)
            if not figures:
                continue
            rate, sentences = figures[kind], figures["ser"]
            parts = ("hits", "substitutions", "deletions", "insertions")
            whole = rate["reference"]
            row = [
                str(model.folder.relative_to(exp)),
                f"{decoding.tag}/{decoding.set}",
                count(sentences["reference"]),
                count(whole),
                *(number(100 * rate[part] / whole if whole else None) for part in parts),
                number(rate["percent"]),
                number(sentences["percent"]),
                interval(rate["interval"]),
            ]
            rows.append([*row, rtf(decoding.info)] if kind == "wer" else row)
    return Table(("model", "dataset", *columns), rows)


def bullets(lines: Iterable[str]) -> str:
    """Return a Markdown list."""
    return "\n".join(f"- {line}" for line in lines)
