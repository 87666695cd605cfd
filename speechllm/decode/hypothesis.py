"""Result of the search for one utterance."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Hypothesis:
    """Hypothesis of one utterance.

    Attributes:
        utt_id: utterance id.
        text: the transcript.
        ids: tokens generated, without end-of-sequence.
        truncated: whether it reached its bound on tokens before it ended.
        score: score of the search, scorers included: log-probability in nats, summed over its
            tokens and, unless truncated, its end. Its last bits depend on the batch, so
            comparisons leave it out.
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
        """Length in the search's length penalty: the tokens and the end."""
        return len(self.ids) + 1
