"""Pieces of recordings: encoded one by one, decoded together.

What a piece says depends neither on the pieces beside it nor on who asks: the command and the
server both come here.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from speechllm.data.dirs.bias_lists import BiasLists
from speechllm.data.speech.audio import SAMPLE_RATE, AudioError
from speechllm.data.speech.audio_error import WaveError, too_short
from speechllm.data.speech.segmentation import Wave
from speechllm.decode.decode_sets import decode_batches
from speechllm.decode.decoder import Decoder
from speechllm.decode.hypothesis import Hypothesis
from speechllm.decode.record import GuardRecord
from speechllm.model.encoder.encoder import Encoder
from speechllm.slot.collate import Example
from speechllm.transcribe.transcript import Piece, Transcript

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncodedPiece:
    """An encoded piece that waits to be decoded with others of similar length.

    Attributes:
        transcript: that it will be added to.
        start, end: seconds from the beginning of what was read.
        frames: output of the encoder [T, D].
        hotwords: bias list of the piece, for a decoder with biasing.
    """

    transcript: Transcript
    start: float
    end: float
    frames: np.ndarray
    hotwords: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Length rounded as in utt2dur, so that the bound on tokens is that of stage 6."""
        return round(self.end - self.start, 4)


def encode_piece(
    encoder: Encoder,
    transcript: Transcript,
    wave: Wave,
    place: tuple[int, int],
    hotwords: tuple[str, ...] = (),
) -> EncodedPiece:
    """Encode one piece by itself.

    Other utterances in the encoder's batch would change the last bits of the frames.

    Args:
        encoder: of the model.
        transcript: that the piece will be added to.
        wave: samples at 16 kHz.
        place: (start, end) in samples.
        hotwords: bias list of the piece.

    Raises:
        AudioError: the piece is too short for the encoder, or gives NaN or Inf.
    """
    (start, end), audio = place, transcript.recording.audio
    try:
        frames = encoder.encode([wave[start:end]])[0]
    except WaveError as error:
        seconds = f"{(end - start) / SAMPLE_RATE:.4f} s"
        raise AudioError(too_short(error.least_seconds), audio, seconds) from error
    if not np.isfinite(frames).all():
        where = f"{start / SAMPLE_RATE:.1f} s to {end / SAMPLE_RATE:.1f} s"
        raise AudioError("the encoder gives NaN or Inf", audio, where)
    return EncodedPiece(transcript, start / SAMPLE_RATE, end / SAMPLE_RATE, frames, hotwords)


def decode_pieces(window: Sequence[EncodedPiece], decoder: Decoder) -> Iterator[float]:
    """Decode pieces and add them to their transcripts; yield the seconds of each batch."""
    model = decoder.model
    pieces = {str(number): piece for number, piece in enumerate(window)}
    if decoder.config.biasing:
        lists = {name: piece.hotwords for name, piece in pieces.items() if piece.hotwords}
        decoder.use_lists(BiasLists(lists))
    length = model.projector.output_length
    lengths = {n: length(len(piece.frames)) + decoder.growth for n, piece in pieces.items()}
    seconds = {name: piece.seconds for name, piece in pieces.items()}
    found: dict[str, Hypothesis] = {}
    for names in decode_batches(list(pieces), lengths, seconds, model, decoder.config):
        examples = [Example(name, "audio", pieces[name].frames) for name in names]
        decoded = decoder.decode(examples, [seconds[name] for name in names])
        found |= {name: heard.best for name, heard in zip(names, decoded, strict=True)}
        for name, heard in zip(names, decoded, strict=True):
            if note := heard.guard:
                _say_guarded(pieces[name], note)
        yield round(sum(seconds[name] for name in names), 1)
    for name, piece in pieces.items():
        heard = found[name]
        offset = piece.transcript.recording.audio.start or 0.0
        piece.transcript.pieces.append(
            Piece(offset + piece.start, offset + piece.end, heard.text, heard.truncated)
        )


def _say_guarded(piece: EncodedPiece, note: GuardRecord) -> None:
    log.warning(
        "%s, %.1f s to %.1f s: guard: %s; first heard: %r, kept: %s",
        *(piece.transcript.id, piece.start, piece.end, ", ".join(note.flags)),
        *(note.first, note.kept or "first"),
    )
