"""RESULTS.md: the results of an exp folder's models, and how they were made."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

from speechllm.imported import in_words
from speechllm.report.answers import answer_tables
from speechllm.report.comparison import Comparison, compare, legend
from speechllm.report.decodings import LEGEND as DECODINGS_LEGEND
from speechllm.report.decodings import decodings_table
from speechllm.report.domain import LEGEND as DOMAIN_LEGEND
from speechllm.report.domain import domain_table
from speechllm.report.markdown import code, text
from speechllm.report.notes import notes
from speechllm.report.table import ABSENT, Table, count, interval, number, rtf
from speechllm.report.tree import BaseRuns, Decoding, Model, read_families
from speechllm.version import __version__

# Keys of a run's environment block (speechllm/environment.py) that are printed.
ENVIRONMENT = (
    *("speechllm", "git", "python", "torch", "transformers", "peft"),
    *("system", "processor", "threads", "precision"),
)


@dataclass(frozen=True)
class ReportSection:
    """Tables with their titles under one heading, and the legend of their columns."""

    title: str
    tables: list[tuple[str, Table]]
    legend: str

    def markdown(self) -> list[str]:
        """Return its blocks of Markdown, to be joined by empty lines."""
        tables = [part for name, t in self.tables for part in (f"### {text(name)}", t.markdown())]
        return [f"## {text(self.title)}", *tables, "Columns:", self.legend]


@dataclass(frozen=True)
class ReportResults:
    """Text of RESULTS.md, and its parts for a terminal and for web pages.

    Attributes:
        markdown: the whole text.
        families: models that the report is about.
        comparisons: main table of each base.
        legends: legend of the main tables, one for each task.
        sections: further tables, which follow the main tables.
        environment, notes: lines without Markdown.
        method: lines of Markdown.
        details: titles and tables of every model and test set.
    """

    markdown: str
    families: list[BaseRuns]
    comparisons: list[Comparison]
    legends: list[str]
    sections: list[ReportSection]
    environment: list[str]
    method: list[str]
    notes: list[str]
    details: list[tuple[str, Table]]


def make_results(
    exp: Path,
    title: str = "Results",
    normalizer: str = "plain",
    command: str | None = None,
    grids: Sequence[str] = (),
    tag: str | None = None,
    source_sets: Sequence[str] = (),
) -> ReportResults:
    """Report on everything below `exp`.

    Args:
        exp: the recipe's exp folder.
        title: heading of the report.
        normalizer: normaliser of the first tables; the detailed ones show all that were used.
        command: the command that made these results, to be quoted.
        grids: files beside the report with comparisons of these models, to be linked.
        tag: tag of the main table's decoding, `decode_<tag>`; see `BaseRuns.main_tag`.
        source_sets: sets that show what adaptation forgets (default: see `BaseRuns.source`).

    Raises:
        DataError: there is no model below `exp`, or a file of results is broken.
    """
    families = read_families(exp, source_sets)
    # Each reference is part of every family, but is listed once.
    models = list({model.folder: model for f in families for model in f.models}.values())
    tags = [family.main_tag(tag) for family in families]
    comparisons = [
        compare(family, main, normalizer) for family, main in zip(families, tags, strict=True)
    ]
    domain = [
        (f"Base {family.folder.name}, decoding {main}", domain_table(family, main, normalizer))
        for family, main in zip(families, tags, strict=True)
    ]
    decodings = [
        (f"Base {family.folder.name}", decodings_table(family, main, normalizer))
        for family, main in zip(families, tags, strict=True)
    ]
    sections = [
        *_section("Entities, biased and unseen words", domain, normalizer, DOMAIN_LEGEND),
        *_section("Ways of decoding", decodings, normalizer, DECODINGS_LEGEND),
    ]
    remarks = notes(exp, families, normalizer, tag)
    environment = list(environment_lines([model.run for model in models]))
    method = list(_method(models, command))
    parts = [
        f"# {text(title)}",
        f"Made by `speechllm report` {__version__} on {date.today().isoformat()}; do not edit.",
        grids and "Methods, seeds and tests: " + ", ".join(map(_link, grids)),
        "## Environment",
        bullets(map(text, environment)),
        "## How these results were made",
        bullets(method),
        "## Target domains",
    ]
    for comparison in comparisons:
        parts += [f"### {text(comparison.title)}", comparison.table.markdown()]
        parts += [bullets(comparison.verdicts)]
    legends = [legend(task) for task in {f.task.name: f.task for f in families}.values()]
    for meaning in legends:
        parts += ["Columns:", meaning]
    for section in sections:
        parts += section.markdown()
    if remarks:
        parts += ["## Notes", bullets(map(text, remarks))]
    details = []
    spoken = [model for model in models if model.task.is_aligned]
    for name in _normalizers(models):
        parts += [f"## Every model and test set, normaliser {text(name)}"]
        tables = [
            (kind.upper(), _details(exp, spoken, name, kind))
            for kind in (("wer", "cer") if spoken else ())
        ]
        for heading, table in (*tables, *answer_tables(exp, models, name)):
            parts += [f"### {text(heading)}", table.markdown()]
            details.append((f"{heading}, normaliser {name}", table))
    return ReportResults(
        "\n\n".join(filter(None, parts)) + "\n",
        families,
        comparisons,
        legends,
        sections,
        environment,
        method,
        remarks,
        details,
    )


def _section(
    title: str, tables: Iterable[tuple[str, Table]], normalizer: str, legend: str
) -> Iterator[ReportSection]:
    """Yield a section of the tables that have rows and metrics; nothing if there is none."""
    found = [
        (f"{name}, normaliser {normalizer}", table)
        for name, table in tables
        if table.rows and len(table.header) > table.names
    ]
    if found:
        yield ReportSection(title, found, legend)


def environment_lines(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Environment as the runs recorded it; where they differ, every value with its model count."""
    for key in ENVIRONMENT:
        values = Counter(run.get("environment", {}).get(key, ABSENT) for run in runs)
        each = [f"{value} (in {n} of {len(runs)} models)" for value, n in values.most_common()]
        yield f"{key}: {next(iter(values)) if len(values) == 1 else ', '.join(each)}"


def _method(models: list[Model], command: str | None) -> Iterator[str]:
    if command:
        yield f"command: {code(command)} (that of each model is in its run.json)"
    seeds = {model.seed for model in models} - {None}
    yield f"training seed: {', '.join(map(str, sorted(seeds))) or ABSENT}"
    imported = {
        text(f"pretrained {key}: {in_words(source)}")
        for model in models
        for key, source in model.run.get("pretrained", {}).items()
    }
    yield from sorted(imported)
    results = [result for _, result in _results(models)]
    for name in _normalizers(models):
        for rules in sorted({tuple(_rules(result, name)) for result in results} - {()}):
            yield text(f"normaliser {name}, on both sides: {'; '.join(rules)}")
    yield from interval_lines(results)
    if any(model.task.is_aligned for model in models):
        yield "CER counts the single space between two words as a character"


def interval_lines(results: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Say how the intervals of score files were made; a line for each way."""
    for how in sorted({tuple(sorted(r["made_from"]["bootstrap"].items())) for r in results}):
        bootstrap = dict(how)
        yield (
            f"intervals: {100 * bootstrap['level']:g} %, bootstrap over each {bootstrap['unit']}, "
            f"{bootstrap['resamples']} resamples, seed {bootstrap['seed']}"
        )


def _results(models: list[Model]) -> Iterator[tuple[Decoding, dict[str, Any]]]:
    for model in models:
        for decoding in model.decodings.values():
            if decoding.result:
                yield decoding, decoding.result


def _rules(result: dict[str, Any], normalizer: str) -> list[str]:
    return result["made_from"]["normalizers"].get(normalizer, [])


def _normalizers(models: list[Model]) -> list[str]:
    """Names of all normalisers, in the order of their first use."""
    return list(dict.fromkeys(name for _, result in _results(models) for name in result["scores"]))


def _details(exp: Path, models: list[Model], normalizer: str, kind: str) -> Table:
    """Table in the layout of ESPnet, in percent, for words (`wer`) or characters (`cer`)."""
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


def _link(name: str) -> str:
    return f"[{text(name)}]({quote(name)})"


def bullets(lines: Iterable[str]) -> str:
    """Return lines as a Markdown list."""
    return "\n".join(f"- {line}" for line in lines)
