"""Curriculum over target text: easy text first; the monitor sets the pace."""

from collections.abc import Mapping
from typing import Any

from speechllm.slot.mixing import Mixture
from speechllm.train.monitor import Signals, badness


class EasyToHard:
    """Lets target components draw from the easiest part of their text, which grows.

    It grows at every evaluation whose signal is not worse than the last one's by more than the
    margin; so it pauses while recognition gets worse. Easy text first is the idea of Bengio et al.
    2009; here a signal sets the pace instead of a schedule.

    Args:
        mixture: mixture whose pools are narrowed at once.
        difficulty: difficulty of each target utterance; equal ones are ordered by their ids.
        start, step: initial share of the text, and its growth.
        margin: relative worsening since the last evaluation that does not count.
        watch, signal: dev set and its metric that set the pace.
    """

    def __init__(
        self,
        mixture: Mixture,
        difficulty: Mapping[str, float],
        *,
        start: float,
        step: float,
        margin: float,
        watch: str,
        signal: str,
    ):
        self.mixture, self.difficulty = mixture, difficulty
        self.start, self.step, self.margin = start, step, margin
        self.watch, self.signal = watch, signal
        self.whole = [list(pool) for pool in mixture.pools]
        self.growths = 0
        self.last: float | None = None
        self._narrow()

    @property
    def share(self) -> float:
        """Share of the target text that may be drawn."""
        return min(1.0, self.start + self.growths * self.step)

    def observe(self, step: int, signals: Mapping[str, Signals]) -> str | None:
        bad = badness(self.signal, signals[self.watch][self.signal])
        last, self.last = self.last, bad
        if last is None or self.share == 1:
            return None
        if not bad <= last + self.margin * abs(last):  # worse, or not a number
            return None
        self.growths += 1
        self._narrow()
        return f"easiest={self.share:.2f}"

    def state(self) -> dict[str, Any]:
        return {"growths": self.growths, "last": self.last}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.growths, self.last = state["growths"], state["last"]
        self._narrow()

    def _narrow(self) -> None:
        for i, component in enumerate(self.mixture.components):
            if component.domain == "target":
                pool = self.whole[i]
                order = sorted((utt for utt, _ in pool), key=lambda u: (self.difficulty[u], u))
                allowed = set(order[: max(1, round(self.share * len(order)))])
                self.mixture.pools[i] = [entry for entry in pool if entry[0] in allowed]
