"""Curriculum over simulated speech: WER bins are opened from easy to hard."""

from collections.abc import Mapping
from typing import Any

from speechllm.slot.pseudo_audio.sparse_posteriors import SimulatedText
from speechllm.train.monitor import Signals


class HarderBins:
    """Opens a larger share of the bins, the easiest first, at every evaluation of the monitor.

    Args:
        corpus: simulated text; its bins beyond the share `start` are closed at once.
        start, step: initial share of open bins, and its growth.
    """

    def __init__(self, corpus: SimulatedText, start: float, step: float):
        self.corpus, self.start, self.step = corpus, start, step
        self.bins, self.growths = corpus.open_bins, 0
        self._open()

    @property
    def share(self) -> float:
        """Share of the bins that are open."""
        return min(1.0, self.start + self.growths * self.step)

    def observe(self, step: int, signals: Mapping[str, Signals]) -> str | None:
        if step == 0 or self.share == 1:
            return None
        self.growths += 1
        self._open()
        return f"open_bins={self.corpus.open_bins}"

    def state(self) -> dict[str, Any]:
        return {"growths": self.growths}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.growths = state["growths"]
        self._open()

    def _open(self) -> None:
        self.corpus.open_bins = max(1, round(self.share * self.bins))
