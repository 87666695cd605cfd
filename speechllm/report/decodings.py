"""Table of further decodings (fusion, rescoring, biasing ...) against the plain one."""

from speechllm.report.domain import special_rates
from speechllm.report.gains import gain
from speechllm.report.table import ABSENT, Table, number, probability, rate, rtf
from speechllm.report.tree import BaseRuns, Decoding, Model
from speechllm.score.chance.significance import paired_bootstrap
from speechllm.task import Task

LEGEND = """\
- decoding: tag of the decode config, the plain one first; gain: relative reduction of its error; p:
  paired bootstrap against it, two-sided, not corrected for there being many.
- RTF: seconds of encoding (stage 3) and of decoding per second of audio; RTF cost: how many times
  that of the plain decoding."""


def header(task: Task) -> tuple[str, ...]:
    """Columns of the table, before empty ones are left out."""
    return (
        *("set", "model", "decoding", f"{task.main.title} [95 %]", "gain %", "p"),
        *("entity error [95 %]", "B-WER [95 %]", "U-WER [95 %]", "RecOOV [95 %]"),
        *("RTF", "RTF cost"),
    )


def decodings_table(family: BaseRuns, main: str, normalizer: str) -> Table:
    """Return rows for each set and model that was decoded in more than one way.

    Args:
        family: a base and its models.
        main: tag of the plain decoding.
        normalizer: name of the normaliser.
    """
    sets = sorted({name for model in family.models for _, name in model.decodings})
    rows = [
        row
        for name in sets
        for model in family.models
        for row in _rows(model, name, main, normalizer)
    ]
    return Table(header(family.task), rows, names=3).without_absent()


def _rows(model: Model, name: str, main: str, normalizer: str) -> list[list[str]]:
    tags = sorted((tag for tag, of in model.decodings if of == name), key=lambda t: (t != main, t))
    if len(tags) < 2:
        return []
    plain = model.decodings.get((main, name))
    return [
        [name, model.name, tag, *_figures(model.decodings[tag, name], plain, normalizer)]
        for tag in tags
    ]


def _figures(decoding: Decoding, plain: Decoding | None, normalizer: str) -> list[str]:
    figures = decoding.figures(normalizer)
    won = cost = p = None
    if plain and plain is not decoding:
        error, plain_error = (d.error(normalizer).get("percent") for d in (decoding, plain))
        won = gain(error, plain_error)
        p = _probability(decoding, plain, normalizer)
        if decoding.info.get("rtf") is not None and plain.info.get("rtf"):
            cost = decoding.info["rtf"] / plain.info["rtf"]
    return [
        rate(decoding.error(normalizer)),
        number(won),
        probability(p),
        *special_rates(figures),
        rtf(decoding.info),
        ABSENT if cost is None else f"x {cost:.2f}",
    ]


def _probability(decoding: Decoding, plain: Decoding, normalizer: str) -> float | None:
    """p of the paired bootstrap; None unless both were scored on the same utterances."""
    ours, theirs = (d.utterance_errors(normalizer) for d in (decoding, plain))
    words = [count for _, count in ours.values()]
    if ours.keys() != theirs.keys() or words != [count for _, count in theirs.values()]:
        return None
    errors = [[wrong for wrong, _ in rows.values()] for rows in (ours, theirs)]
    found = paired_bootstrap(errors[0], errors[1], words)
    return found and found.p
