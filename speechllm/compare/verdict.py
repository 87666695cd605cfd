"""Findings of a comparison in plain words: the order of the arms, and whether papers' order holds.

Pairs of neighbours in the order found and in the published order are one family of tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from speechllm.compare.judge import Judgement, judge
from speechllm.compare.results import ArmResults, Result
from speechllm.report.markdown import code, text
from speechllm.report.table import change, number, probability

PUBLISHED_FRACTION = 0.2
"""Share of the audio from which mixed batching is said to beat denoising (arXiv 2604.06487)."""

Judged = dict[frozenset[Result], Judgement | None]


@dataclass(frozen=True)
class Verdict:
    """Findings on one target, in sentences."""

    target: str
    order: str
    published: str

    @property
    def lines(self) -> tuple[str, ...]:
        found = f"**{text(self.target)}**: {self.order}"
        if not self.published:
            return (found,)
        return found, f"**{text(self.target)}, published order**: {self.published}"


def verdicts(results: ArmResults) -> list[Verdict]:
    """Return the findings on each target; controls are left out."""
    groups = {target: _ranked(results, target) for target in results.targets}
    published = {target: _published(results, target) for target in results.targets}
    pairs: dict[frozenset[Result], tuple[Result, Result]] = {}
    for target in results.targets:
        leaders = [group[0] for group in groups[target]]
        for one, other in (*pairwise(leaders), *pairwise(published[target])):
            if one.target.answers_key != other.target.answers_key:
                pairs[frozenset((one, other))] = one, other
    judged = dict(zip(pairs, judge(list(pairs.values())), strict=True))
    return [
        Verdict(
            target,
            _order(groups[target], judged, results.task.main.title),
            _holds(published[target], judged, results.task.published),
        )
        for target in results.targets
    ]


def _ranked(results: ArmResults, target: str) -> list[list[Result]]:
    """Groups of arms with the same hypotheses, in the order of their error, the lowest first."""
    alike: dict[object, list[Result]] = {}
    for result in results.of(target):
        if not result.is_control and result.target.error is not None:
            alike.setdefault(result.target.answers_key, []).append(result)
    return sorted(alike.values(), key=lambda group: group[0].target.error or 0.0)


def _order(groups: Sequence[list[Result]], judged: Judged, error: str) -> str:
    if not groups:
        return "nothing can be scored."
    ranking = _shown(groups[0])
    apart = []
    for group, after in pairwise(groups):
        better, worse = group[0], after[0]
        ranking += f" {'=' if not _change(better, worse) else '<'} {_shown(after)}"
        judgement = judged[frozenset((better, worse))]
        if judgement and judgement.is_significant:
            apart.append(f"{code(better.arm)} and {code(worse.arm)} ({_p(judgement)})")
    sentences = [f"{error} from the lowest: {ranking}."]
    if apart:
        sentences.append(f"Neighbours that differ significantly: {', '.join(apart)}.")
    if len(groups) > 1 and len(apart) < len(groups) - 1:
        others = "All other" if apart else "All"
        sentences.append(f"{others} neighbours may stand in this order by chance.")
    if joined := [_names(group) for group in groups if len(group) > 1]:
        sentences.append(f"The very same hypotheses, hence no order: {'; '.join(joined)}.")
    return " ".join(sentences)


def _published(results: ArmResults, target: str) -> list[Result]:
    """Arms in the published order: one for each of its methods that the grid has."""
    chosen = []
    for method in results.task.published:
        arms = [r for r in results.of(target) if r.method == method]
        arms = [r for r in arms if not r.is_control and not r.is_redecoded]
        arms = [r for r in arms if r.cells[0].label == method] or arms
        if method == "mixed_batching":
            arms.sort(key=lambda r: abs((r.cells[0].fraction or 0) - PUBLISHED_FRACTION))
        elif method == "audio":
            arms.sort(key=lambda r: -r.audio_hours)
        else:  # what papers say is about methods that use a little speech
            arms.sort(key=lambda r: r.cells[0].fraction or 0.0)
        chosen += [r for r in arms[:1] if r.target.error is not None]
    return chosen


def _holds(arms: Sequence[Result], judged: Judged, published: Mapping[str, str]) -> str:
    """Say whether the published order holds; empty if there is none."""
    if not published:
        return ""
    if len(arms) < 2:
        return "cannot be checked, too few of its methods are finished."
    holds, fails, unsure = [], [], []
    for worse, better in pairwise(arms):
        step = f"{code(worse.arm)} to {code(better.arm)}"
        if better.target.answers_key == worse.target.answers_key:
            unsure.append(f"{step} (the very same hypotheses)")
            continue
        judgement, difference = judged[frozenset((worse, better))], _change(worse, better)
        told = f"{step} ({change(difference)}, {_p(judgement)})"
        if judgement is None or not judgement.is_significant:
            unsure.append(told)
        else:
            (holds if difference < 0 else fails).append(told)
    if fails:
        answer = "does not hold"
    elif unsure:
        answer = "holds only in part" if holds else "is neither confirmed nor refuted"
    else:
        answer = "holds"
    sentences = [f"{' > '.join(code(r.arm) for r in arms)} {answer}."]
    for what, steps in (
        ("Significantly better, as published", holds),
        ("Significantly worse, against it", fails),
        ("May be chance", unsure),
    ):
        if steps:
            sentences.append(f"{what}: {', '.join(steps)}.")
    present = {r.method for r in arms}
    if absent := [name for method, name in published.items() if method not in present]:
        sentences.append(f"Not in the grid or not finished: {', '.join(absent)}.")
    return " ".join(sentences)


def _change(worse: Result, better: Result) -> float:
    """Error of the second minus that of the first, in points; 0 if they differ by rounding only."""
    return round((better.target.error or 0.0) - (worse.target.error or 0.0), 9)


def _shown(group: Sequence[Result]) -> str:
    return f"{_names(group)} {number(group[0].target.error)}"


def _names(group: Sequence[Result]) -> str:
    return " = ".join(code(r.arm) for r in group)


def _p(judgement: Judgement | None) -> str:
    return f"p {probability(judgement.p)}" if judgement else "cannot be tested"
