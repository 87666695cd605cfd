"""Columns of a comparison's tables and their legends, in the terms of the models' task."""

from speechllm.task import Task

PAIRS = {
    True: "matched-pairs segment test (MAPSSWE)",
    False: "matched-pairs test of utterances",
}
"""Name of the second test, for answers that are words (True) and for others."""


def header(task: Task) -> tuple[str, ...]:
    """Columns of the main table."""
    error = task.main.title
    return (
        *("target", "arm", "seeds", f"{error} [95 %]", "change [95 %]", "p", "p pairs", "better"),
        *("gain %", "gap closed %", f"source {error}", "source change [95 %]"),
        *(f"{metric.title} % [95 %]" for metric in task.metrics[1:]),
        *("audio h", "trained M", "steps", "kept step", "seconds"),
    )


def legend(task: Task) -> str:
    """Legend of the main table, as a Markdown list."""
    error = task.main.title
    further = "".join(f"\n- {metric.title}: {metric.says}." for metric in task.metrics[1:])
    return f"""\
- arm: label of the method, and `_p` with the share of the target's audio in percent; all figures
  are means over seeds; seeds: how many of the planned runs are in them.
- {error}: {task.main.says}, on the target's test set, in percent, with its 95 % interval over seeds
  and utterances: of S seeds S - 1 are drawn, then utterances, the same for all (docs/scoring.md).
  With one seed it is over utterances alone.
- change: {error} minus the baseline's, in points; its interval is not corrected for there being
  many.
- p: paired bootstrap over seeds and utterances, two-sided; p pairs: {PAIRS[task.is_aligned]}
  of these very runs. Holm's correction over all arms and targets of the table, for each test. `*`:
  both are below 0.05; anything else may be chance. better: runs whose {error} is below the
  baseline's mean.
- gain: relative reduction of the base's {error}. gap closed: (base - arm) / (base - audio), where
  audio is the arm fine-tuned on the most audio of that target.
- source {error}: on the source test set; source change: what adaptation added to the base's, in
  points (forgetting).{further}
- audio h: hours of the target's own audio trained on; trained M: trained parameters in millions;
  kept step: the step (of the last phase) whose weights the dev set chose, 0 being those it
  started from; seconds: of training."""


def beside_header(task: Task) -> tuple[str, ...]:
    """Columns, after the names, of a table that sets one arm beside another."""
    error = task.main.title
    return (
        *("seeds", f"{error} [95 %]", f"{error} of it [95 %]", "difference [95 %]"),
        *("p", "p pairs", "better", f"source {error}", f"source {error} of it"),
        *("audio h", "audio h of it", "steps", "steps of it", "seconds", "seconds of it"),
    )


def control_legend(task: Task) -> str:
    """Legend of the table of controls, as a Markdown list."""
    return f"""\
- control: an arm that differs in one respect from the arm under `of` ("it"). difference:
  {task.main.title} of the control minus that of it, in points; below zero the control is better. p
  and `*` as above, with Holm's correction over this table."""


def pair_legend(task: Task) -> str:
    """Legend of the table of pairs, as a Markdown list."""
    return f"""\
- difference: {task.main.title} of the arm minus that of the one under `against` ("it"), in points;
  below zero the arm is better. p and `*` as above, with Holm's correction over this table."""
