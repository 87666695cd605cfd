"""Transcript of one recording, with times."""

from dataclasses import dataclass, field

from speechllm.data.speech.audio import AudioError
from speechllm.task import Task
from speechllm.transcribe.recordings import Recording


@dataclass(frozen=True)
class Piece:
    """A piece of a recording that was decoded by itself.

    Attributes:
        start, end: seconds from the beginning of the recording.
        text: the hypothesis: a transcript, or another answer of the model's task.
        truncated: whether the hypothesis was cut at the bound on tokens.
    """

    start: float
    end: float
    text: str
    truncated: bool


@dataclass
class Transcript:
    """A recording's transcript.

    Attributes:
        recording: the recording.
        domain: domain of the model.
        task: task of the model.
        pieces: pieces in order of time; one for a short recording, none for silence.
        error: why the recording could not be transcribed; None if it could.
        notes: remarks on odd audio, in the same words for all such recordings.
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
        """Text of all pieces, joined by spaces.

        Raises:
            AudioError: the recording could not be read.
        """
        if self.error:
            raise self.error
        return " ".join(piece.text for piece in self.pieces if piece.text)
