"""What was heard in one recording, with times."""

from dataclasses import dataclass, field

from speechllm.data.speech.audio import AudioError
from speechllm.task import Task
from speechllm.transcribe.recordings import Recording


@dataclass(frozen=True)
class Piece:
    """A stretch of a recording that was decoded by itself.

    Attributes:
        start, end: seconds from the recording's beginning.
        text: what was heard, or what the model's task answers instead.
        truncated: the hypothesis reached its bound on tokens before it ended by itself.
    """

    start: float
    end: float
    text: str
    truncated: bool


@dataclass
class Transcript:
    """A recording's transcript.

    Attributes:
        recording: what was transcribed.
        domain: of the model.
        task: of the model.
        pieces: in the order of time; one for a short recording, none for nothing but silence.
        error: why there are none.
        notes: what is odd about the audio, in words that are the same for all such recordings.
    """

    recording: Recording
    domain: str
    task: Task
    pieces: list[Piece] = field(default_factory=list)
    error: AudioError | None = None
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.recording.id

    @property
    def text(self) -> str:
        """All that was heard, pieces joined by a space.

        Raises:
            AudioError: the recording could not be read.
        """
        if self.error:
            raise self.error
        return " ".join(piece.text for piece in self.pieces if piece.text)
