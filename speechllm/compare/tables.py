"""Tables of a comparison: arms against the baseline, controls, pairs, errors by type."""

from collections.abc import Mapping, Sequence

from speechllm.compare.grid import BASE
from speechllm.compare.judge import Judgement, compare_runs, judge
from speechllm.compare.legends import beside_header, header
from speechllm.compare.results import ArmResults, Result, Runs
from speechllm.report.gains import gain, gap_closed
from speechllm.report.table import ABSENT, Table, change, count, interval, number, probability
from speechllm.score.chance.seeds import mean_rate, seed_interval
from speechllm.score.chance.significance import Paired
from speechllm.score.counts import Rate
from speechllm.task import Task


def main_table(results: ArmResults, baseline: str) -> Table:
    """Return a row for each target and arm; controls are left to their own table."""
    rows = [result for result in results if not result.is_control]
    pairs = {
        result: (result, reference)
        for result in rows
        if (reference := results.find(result.domain, baseline)) and reference is not result
    }
    judged = dict(zip(pairs, judge(list(pairs.values())), strict=True))
    return Table(
        header(results.task), [_row(results, result, judged.get(result)) for result in rows]
    )


def control_table(results: ArmResults) -> Table:
    """Return a row for each control and target, if the arm that it is a control of is finished."""
    pairs = [
        (control, counterpart)
        for control in results
        if (counterpart := results.find(control.domain, control.cells[0].control_of))
    ]
    return _beside(results.task, ("target", "control", "of"), pairs)


def pair_table(results: ArmResults, pairs: Sequence[tuple[str, str]]) -> Table:
    """Return a row for each target and pair of arms, if both are finished."""
    found = [
        (one, other)
        for target in results.targets
        for first, second in pairs
        if (one := results.find(target, first)) and (other := results.find(target, second))
    ]
    return _beside(results.task, ("target", "arm", "against"), found)


def _beside(
    task: Task, names: tuple[str, str, str], pairs: Sequence[tuple[Result, Result]]
) -> Table:
    """Return a row for each pair of results; all rows are one family of tests."""
    rows = []
    for both, judged in zip(pairs, judge(pairs), strict=True):
        one, it = both
        rows.append(
            [
                *(one.domain, one.arm, it.arm),
                "; ".join(dict.fromkeys(map(_seeds, both))),
                *(_rate(result.target) for result in both),
                *_judgement(judged, one),
                *(number(result.source.error) for result in both),
                *(number(result.audio_hours) for result in both),
                *(_whole(result.mean("steps")) for result in both),
                *(_whole(result.mean("seconds")) for result in both),
            ]
        )
    return Table((*names, *beside_header(task)), rows, names=3)


def type_table(results: ArmResults, target: str) -> Table:
    """Return the second metric by type; no rows if there are fewer than two types."""
    arms = results.of(target)
    types = {kind: None for arm in arms for run in arm.target.counted for kind in run.by_type}
    first, names = arms[0].target.counted[0].by_type, sorted(types)
    unit = next((metric.unit for metric in results.task.metrics[1:]), "")
    header = (
        f"{n} ({first[n].reference.sum()} {unit})" if _is_common(first, n) else n for n in names
    )
    rows = [[arm.arm, *(_type_rate(arm.target, name) for name in names)] for arm in arms]
    return Table(("arm", *header), rows if len(types) > 1 else [], names=1)


def _is_common(by_type: Mapping[str, Rate], name: str) -> bool:
    return name in by_type and by_type[name].is_common


def _type_rate(runs: Runs, name: str) -> str:
    """Rate of a type and its interval over seeds; "-" if a run has nothing of that type."""
    found = [counted.by_type.get(name) for counted in runs.counted]
    rates = [rate for rate in found if rate]
    if len(rates) < len(found):
        return ABSENT
    errors, reference = [r.errors for r in rates], [r.reference for r in rates]
    return _with_interval(mean_rate(errors, reference), seed_interval(errors, reference))


def _row(results: ArmResults, result: Result, judged: Judgement | None) -> list[str]:
    base = results.find(result.domain, BASE)
    full = results.full_audio(result.domain)
    error, base_error = (
        result.target.error,
        None if result.is_base or not base else base.target.error,
    )
    won, closed = gain(error, base_error), gap_closed(error, base_error, full and full.target.error)
    forgotten = compare_runs(result.source, base.source) if base and not result.is_base else None
    parameters = result.mean("trained_parameters")
    runs = result.target
    return [
        *(result.domain, result.arm, _seeds(result), _rate(runs)),
        *_judgement(judged, result),
        *(number(won), number(closed), number(result.source.error), _change(forgotten)),
        *(_rate(runs.of(metric.key)) for metric in results.task.metrics[1:]),
        number(result.audio_hours),
        number(None if parameters is None else parameters / 1e6),
        *(_whole(result.mean(key)) for key in ("steps", "kept_step", "seconds")),
    ]


def _judgement(judged: Judgement | None, result: Result) -> list[str]:
    """Cells of a test: difference, both p-values, number of better runs."""
    if judged is None:
        return [ABSENT] * 4
    mark = " *" if judged.is_significant else ""
    return [
        f"{change(judged.difference)} {interval(judged.interval)}{mark}",
        probability(judged.p),
        probability(judged.p_matched),
        f"{judged.runs_better}/{len(result.cells)}",
    ]


def _change(paired: Paired | None) -> str:
    return f"{change(paired.difference)} {interval(paired.interval)}" if paired else ABSENT


def _rate(runs: Runs) -> str:
    return _with_interval(runs.error, runs.interval)


def _with_interval(rate: float | None, low_high: tuple[float, float] | None) -> str:
    return ABSENT if rate is None else f"{number(rate)} {interval(low_high)}"


def _seeds(result: Result) -> str:
    done, planned = len(result.cells), result.planned
    return str(done) if done == planned else f"{done} of {planned}"


def _whole(value: float | None) -> str:
    return count(None if value is None else round(value))
