"""What a search finds."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Hypothesis:
    """What the model may have heard in one utterance.

    Attributes:
        utt_id: utterance id.
        text: the transcript.
        ids: tokens generated, without end-of-sequence.
        truncated: it reached its bound before it ended by itself.
        score: what the search gave it, knowledge sources included: a log-probability in nats,
            summed over its tokens and, unless truncated, its end. The last bits of it depend on
            the batch, so it is no part of comparisons.
    """

    utt_id: str
    text: str
    ids: tuple[int, ...]
    truncated: bool
    score: float = field(compare=False, default=0.0)

    @property
    def tokens(self) -> int:
        return len(self.ids)

    @property
    def length(self) -> int:
        """Positions that the search divided its score by: the tokens and the end."""
        return len(self.ids) + 1
