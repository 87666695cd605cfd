"""One trial: a stage is killed once or more, run to its end, and compared with one that was not."""

import random
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.faults.deaths import Death
from tests.faults.process import Ended, run_commands, run_script
from tests.faults.recipe import STAGES, options
from tests.faults.same import differences

DIED = (-signal.SIGKILL, -signal.SIGXFSZ)
STOPS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Reference:
    """A stage that ran without a death.

    Attributes:
        commands: words of its commands.
        before, after: the recipe before and after it.
        calls: calls to the file system.
        seconds: time that it took.
    """

    commands: Sequence[Sequence[str]]
    before: Path
    after: Path
    calls: int
    seconds: float


@dataclass
class Trial:
    """A trial and what came of it.

    Attributes:
        kind: `kill`, with one to three deaths at random places; `stop`, by SIGTERM or SIGINT;
            `each`, a death at the call of the trial's number; or `script`, where the process group
            of `run.sh` is killed, at a random time.
        stage: the stage.
        number: its place among those of its kind; with the seed it decides all that is random.
        deaths: what was asked for, and how it ended, for each attempt.
        faults: lines; none if all was as it has to be.
        seconds: time that it took.
    """

    kind: str
    stage: str
    number: int
    deaths: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def key(self) -> tuple[str, str, int]:
        return self.kind, self.stage, self.number

    def run(self, seed: int, reference: Reference, work: Path) -> None:
        """Run it in a fresh copy of the recipe.

        Args:
            seed: seed of all trials.
            reference: the stage without a death.
            work: folder of the recipe.
        """
        started = time.monotonic()
        draw = random.Random(f"{seed} {self.kind} {self.number}")
        _copy(reference.before, work)
        if self.kind == "script":
            self._kill_script(reference, draw, work)
        elif self.kind == "stop":
            self._stop(reference, draw, work)
        else:
            self._kill(reference, draw, work)
        if not self.faults:
            if self.kind == "script":
                ended = run_script(work, options(self.stage))
            else:
                ended = run_commands(reference.commands, work)
            if ended.code:
                self.faults.append(f"does not go on, code {ended.code}:\n{ended.output[-2000:]}")
            else:
                self.faults += differences(reference.after, work)
        self.seconds = round(time.monotonic() - started, 2)

    def _stop(self, reference: Reference, draw: random.Random, work: Path) -> None:
        """Stop the stage by a signal, about half of them by the clock."""
        number = STOPS[self.number // len(STAGES) % len(STOPS)]
        death = Death(signal=number, call=draw.randint(1, reference.calls // 2))
        if draw.random() < 0.4:
            death = Death(signal=number, seconds=draw.random() * reference.seconds / 2)
        ended = run_commands(reference.commands, work, death)
        self.deaths.append(f"{death}: code {ended.code}")
        unheard = (0, -number) if death.seconds is not None else (0,)  # faster, or not yet begun
        if ended.code not in unheard:
            self.faults += _faults_of_stop(ended, number)

    def _kill_script(self, reference: Reference, draw: random.Random, work: Path) -> None:
        """Kill run.sh, its runner of jobs and what else is in its process group."""
        whole = run_script(work, options(self.stage))
        _copy(reference.before, work)
        seconds = draw.uniform(0.1, 1.0) * whole.seconds
        ended = run_script(work, options(self.stage), seconds)
        self.deaths.append(f"SIGKILL to run.sh after {seconds:.1f} s: {_how(ended)}")
        if ended.code not in (0, *DIED):
            self.faults.append(f"failed, code {ended.code}:\n{ended.output[-2000:]}")

    def _kill(self, reference: Reference, draw: random.Random, work: Path) -> None:
        """Let the stage die once to three times; it may have ended before a later death."""
        most = 1 if self.kind == "each" else draw.choice((1, 1, 1, 2, 2, 3))
        for place in range(most):
            death = _draw(draw, reference, place)
            if self.kind == "each":
                death = Death(call=self.number)
            ended = run_commands(reference.commands, work, death)
            call = reference.calls
            while place == 0 and ended.code == 0:  # it was faster, or no file grew so far
                _copy(reference.before, work)
                death = Death(call=draw.randint(1, call))
                ended, call = run_commands(reference.commands, work, death), 1 + call // 2
            self.deaths.append(f"{death}: {_how(ended)}")
            if ended.code not in (0, *DIED):
                self.faults.append(f"failed, code {ended.code}:\n{ended.output[-2000:]}")
            if ended.code not in DIED:
                return


def _draw(draw: random.Random, reference: Reference, place: int) -> Death:
    """Draw a death. Later ones come early: what is done already makes no calls."""
    kind, where = draw.random(), draw.random() ** (1 if place == 0 else 2)
    if kind < 0.2:
        return Death(seconds=where * reference.seconds)
    death = Death(call=1 + int(where * reference.calls))
    return replace(death, torn=int(2 ** draw.uniform(0, 12))) if kind < 0.55 else death


def _how(ended: Ended) -> str:
    if ended.code == 0:
        return "had ended"
    if ended.code not in DIED:
        return f"code {ended.code}"
    return "died" + f" after {ended.calls} calls" * bool(ended.calls)


def _faults_of_stop(ended: Ended, number: int) -> list[str]:
    """What is wrong with the end of a command that a signal asked to stop."""
    faults = []
    if ended.code != 128 + number:
        faults.append(f"code {ended.code}, not {128 + number}")
    lines = ended.output.splitlines()
    said = [line for line in lines if f"stopped by {signal.Signals(number).name}" in line]
    if len(said) != 1 or lines[-1:] != said:
        faults.append(f"{len(said)} lines say it, or it is not the last one")
    faults += [word for word in ("Traceback", "Exception ignored") if word in ended.output]
    if faults:
        faults[-1] += f":\n{ended.output[-2000:]}"
    return faults


def _copy(state: Path, work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(state, work, symlinks=True)
