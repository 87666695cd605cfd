"""The tables of a comparison: arms against the baseline, controls, pairs, entities by type."""

from collections.abc import Sequence

from speechllm.compare.grid import BASE
from speechllm.compare.judge import Judgement, judge
from speechllm.compare.results import Result, Results, Runs
from speechllm.report.comparison import has_gap
from speechllm.report.table import ABSENT, Table, change, count, interval, number
from speechllm.score.entities import EntityCounts
from speechllm.score.seeds import mean_rate, seed_interval
from speechllm.score.significance import Paired, paired_bootstrap

HEADER = (
    *("target", "arm", "seeds", "WER [95 %]", "change [95 %]", "p", "p pairs", "better"),
    *("gain %", "gap closed %", "source WER", "source change [95 %]", "EER % [95 %]"),
    *("audio h", "trained M", "steps", "kept step", "seconds"),
)
LEGEND = """\
- arm: label of the method, and `_p` with the share of the target's audio in percent; all figures
  are means over seeds; seeds: how many of the planned runs are in them.
- WER: on the target's test set, in percent, with its 95 % interval over seeds and utterances: of S
  seeds S - 1 are drawn, then utterances, the same for all (docs/scoring.md). With one seed it
  is over utterances alone.
- change: WER minus the baseline's, in points; its interval is not corrected for there being many.
- p: paired bootstrap over seeds and utterances, two-sided; p pairs: matched-pairs segment test
  (MAPSSWE) of these very runs. Holm's correction over all arms and targets of the table, for each
  test. `*`: both are below 0.05; anything else may be chance. better: runs whose WER is below
  the baseline's mean.
- gain: relative reduction of the base's WER. gap closed: (base - arm) / (base - audio), where audio
  is the arm fine-tuned on the most audio of that target.
- source WER: on the source test set; source change: what adaptation added to the base's, in points
  (forgetting).
- EER: annotated entities with any word wrong, missing or torn from the next one.
- audio h: hours of the target's own audio trained on; trained M: trained parameters in millions;
  kept step: the step (of the last phase) whose weights the dev set chose, 0 being those it
  started from; seconds: of training."""

BESIDE_HEADER = (
    *("seeds", "WER [95 %]", "WER of it [95 %]", "difference [95 %]"),
    *("p", "p pairs", "better", "source WER", "source WER of it"),
    *("audio h", "audio h of it", "steps", "steps of it", "seconds", "seconds of it"),
)
CONTROL_LEGEND = """\
- control: an arm that differs in one respect from the arm under `of` ("it"). difference: WER of the
  control minus WER of it, in points; below zero the control is better. p and `*` as above, with
  Holm's correction over this table."""
PAIR_LEGEND = """\
- difference: WER of the arm minus WER of the one under `against` ("it"), in points; below zero the
  arm is better. p and `*` as above, with Holm's correction over this table."""


def main_table(results: Results, baseline: str) -> Table:
    """Return a row for each target and arm; controls are left to their own table."""
    rows = [result for result in results if not result.is_control]
    pairs = {
        result: (result, reference)
        for result in rows
        if (reference := results.find(result.domain, baseline)) and reference is not result
    }
    judged = dict(zip(pairs, judge(list(pairs.values())), strict=True))
    return Table(HEADER, [_row(results, result, judged.get(result)) for result in rows])


def control_table(results: Results) -> Table:
    """Return a row for each control whose counterpart is finished too."""
    pairs = [
        (control, counterpart)
        for control in results
        if (counterpart := results.find(control.domain, control.cells[0].control_of))
    ]
    return _beside(("target", "control", "of"), pairs)


def pair_table(results: Results, pairs: Sequence[tuple[str, str]]) -> Table:
    """Return a row for each target and pair of arms, both of them finished."""
    found = [
        (one, other)
        for target in results.targets
        for first, second in pairs
        if (one := results.find(target, first)) and (other := results.find(target, second))
    ]
    return _beside(("target", "arm", "against"), found)


def _beside(names: tuple[str, str, str], pairs: Sequence[tuple[Result, Result]]) -> Table:
    """One result beside another in each row, judged as one family."""
    rows = []
    for both, judged in zip(pairs, judge(pairs), strict=True):
        one, it = both
        rows.append(
            [
                *(one.domain, one.arm, it.arm),
                "; ".join(dict.fromkeys(map(_seeds, both))),
                *(_rate(result.target) for result in both),
                *_judgement(judged, one),
                *(number(result.source.wer) for result in both),
                *(number(result.audio_hours) for result in both),
                *(_whole(result.mean("steps")) for result in both),
                *(_whole(result.mean("seconds")) for result in both),
            ]
        )
    return Table((*names, *BESIDE_HEADER), rows, names=3)


def entity_table(results: Results, target: str) -> Table:
    """Return the entity error rate of each type, which no more than one type would not need."""
    arms = results.of(target)
    types = arms[0].target.entities[0].by_type
    header = (f"{name} ({counts.reference.sum()})" for name, counts in types.items())
    rows = [
        [arm.arm, *(_entity_rate([e.by_type[name] for e in arm.target.entities]) for name in types)]
        for arm in arms
    ]
    return Table(("arm", *header), rows if len(types) > 1 else [], names=1)


def _entity_rate(counts: Sequence[EntityCounts]) -> str:
    """EER and interval over seeds, or "-" where nothing is annotated."""
    errors, reference = [of_seed.errors for of_seed in counts], counts[0].reference
    return _with_interval(mean_rate(errors, reference), seed_interval(errors, reference))


def _row(results: Results, result: Result, judged: Judgement | None) -> list[str]:
    base = results.find(result.domain, BASE)
    full = results.full_audio(result.domain)
    base_wer = base and base.target.wer
    wer, full_wer = result.target.wer, full and full.target.wer
    gain = closed = forgetting = None
    if base and not result.is_base:
        if wer is not None and base_wer:
            gain = 100 * (base_wer - wer) / base_wer
        if wer is not None and has_gap(base_wer, full_wer):
            closed = 100 * (base_wer - wer) / (base_wer - full_wer)
        forgetting = paired_bootstrap(
            result.source.errors, base.source.errors, result.source.reference
        )
    parameters = result.mean("trained_parameters")
    runs = result.target
    return [
        *(result.domain, result.arm, _seeds(result), _rate(runs)),
        *_judgement(judged, result),
        *(number(gain), number(closed), number(result.source.wer), _change(forgetting)),
        _entity_rate([entities.overall for entities in runs.entities]),
        number(result.audio_hours),
        number(None if parameters is None else parameters / 1e6),
        *(_whole(result.mean(key)) for key in ("steps", "kept_step", "seconds")),
    ]


def _judgement(judged: Judgement | None, result: Result) -> list[str]:
    """Four cells: difference, both p-values, runs that are better."""
    if judged is None:
        return [ABSENT] * 4
    mark = " *" if judged.is_significant else ""
    return [
        f"{change(judged.difference)} {interval(judged.interval)}{mark}",
        probability(judged.p),
        probability(judged.p_matched),
        f"{judged.runs_better}/{len(result.cells)}",
    ]


def probability(p: float | None) -> str:
    """Three decimals, `<0.001`, or "-" where there is no value."""
    if p is None:
        return ABSENT
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _change(paired: Paired | None) -> str:
    return f"{change(paired.difference)} {interval(paired.interval)}" if paired else ABSENT


def _rate(runs: Runs) -> str:
    return _with_interval(runs.wer, runs.interval)


def _with_interval(rate: float | None, low_high: tuple[float, float] | None) -> str:
    return ABSENT if rate is None else f"{number(rate)} {interval(low_high)}"


def _seeds(result: Result) -> str:
    done, planned = len(result.cells), result.planned
    return str(done) if done == planned else f"{done} of {planned}"


def _whole(value: float | None) -> str:
    return count(None if value is None else round(value))
