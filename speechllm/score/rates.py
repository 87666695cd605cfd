"""Metrics of wer.json from the counts of each utterance: percent, interval, counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechllm.score.chance.bootstrap import bootstrap_interval, sum_blocks
from speechllm.score.count.wer import Counts
from speechllm.score.inputs import UTT2SPK, Settings, speaker_of_each, warn_of_few_speakers

Figure = dict[str, Any]


@dataclass(frozen=True)
class Rates:
    """Makes rates with their bootstrap intervals.

    Attributes:
        resamples, seed: number of resamples and seed of the bootstrap.
        blocks: [N] the block (speaker) of each utterance; None draws utterances.
    """

    resamples: int = 1000
    seed: int = 0
    blocks: Sequence[str] | None = None

    def interval(self, part: NDArray[Any], whole: NDArray[Any]) -> list[float] | None:
        """The 95 % interval of sum(part) / sum(whole), in percent; both are [N]."""
        if self.blocks is not None:
            part, whole = sum_blocks(part, self.blocks), sum_blocks(whole, self.blocks)
        found = bootstrap_interval(part, whole, self.resamples, self.seed)
        return found and list(found)

    def share(self, part: NDArray[np.int64], whole: NDArray[np.int64], of: str) -> Figure:
        """A share as percent, interval, and both counts.

        Args:
            part: [N] numerators.
            whole: [N] denominators.
            of: keys of the two counts, such as "right/annotated".
        """
        part_name, whole_name = of.split("/")
        return {
            "percent": percent(part.sum(), whole.sum()),
            "interval": self.interval(part, whole),
            part_name: int(part.sum()),
            whole_name: int(whole.sum()),
        }

    def errors(self, table: NDArray[np.int64], with_interval: bool = True) -> Figure:
        """An error rate of `table`, [N, 4] hits, substitutions, deletions, insertions."""
        counts = Counts(*map(int, table.sum(axis=0)))
        errors, reference = table[:, 1:].sum(axis=1), table[:, :3].sum(axis=1)
        interval = {"interval": self.interval(errors, reference)} if with_interval else {}
        return {
            "percent": counts.percent,
            **interval,
            "errors": counts.errors,
            "reference": counts.reference,
            **counts._asdict(),
        }


def rates_of(settings: Settings, references: Mapping[str, str], reference: Path) -> Rates:
    """`Rates` of a set, which draw utterances or speakers as the settings say.

    Args:
        settings: settings of the score.
        references: references by utterance id.
        reference: their file; `utt2spk` beside it names the speakers.

    Raises:
        DataError: speakers are to be drawn, and an utterance has none.
    """
    if not settings.by_speaker:
        return Rates(settings.resamples, settings.seed)
    blocks = speaker_of_each(references, reference.with_name(UTT2SPK))
    warn_of_few_speakers(blocks, reference)
    return Rates(settings.resamples, settings.seed, blocks)


def table_of(counts: Sequence[Counts]) -> NDArray[np.int64]:
    """[N, 4] hits, substitutions, deletions, insertions of N utterances."""
    return np.fromiter(chain.from_iterable(counts), np.int64).reshape(len(counts), 4)


def percent(part: int, whole: int) -> float | None:
    """Percentage of `whole` that `part` is; None if `whole` is 0."""
    return float(100 * part / whole) if whole else None
