"""Base of tasks whose errors are counted by utterance: their scores follow from `count`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechllm.score.answer_scores import counted_scores, metric_lines
from speechllm.score.inputs import Settings
from speechllm.score.write import Scored
from speechllm.task import Labels, Task


class CountedTask(Task):
    """Task that is scored by all rates of `count`; a subclass implements only that."""

    def scores(
        self, reference: Path, hypothesis: Path, settings: Settings, labels: Labels | None
    ) -> Mapping[str, Scored]:
        return counted_scores(self, reference, hypothesis, settings, labels)

    def lines(self, result: Mapping[str, Any], what: str | Path) -> list[str]:
        return metric_lines(self, result, what)
