"""Recogniser: recordings -> pieces -> encoder -> beam search -> transcripts.

The text of a piece is the answer of the model's task, which need not be a transcript.
"""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Annotated

from pydantic import Field

from speechllm.config import Section, parse
from speechllm.data.dirs.bias_lists import BiasLists
from speechllm.data.dirs.tables import first_ids
from speechllm.data.speech.audio import SAMPLE_RATE, AudioError, guessed_duration, mixed
from speechllm.data.speech.samples import Samples
from speechllm.data.speech.segmentation import Vad, check_vad, cut_at_pauses
from speechllm.decode.config import DecodeConfig
from speechllm.decode.decoder import Decoder
from speechllm.decode.form_warnings import say_fits
from speechllm.errors import ConfigError
from speechllm.files.progress import Progress
from speechllm.model.adaptation_weight import weigh_adaptation
from speechllm.model.domains import DomainSwitch
from speechllm.model.encoder.encoder import Encoder
from speechllm.task import Task
from speechllm.transcribe.load import load_parts
from speechllm.transcribe.pieces import EncodedPiece, decode_pieces, encode_piece
from speechllm.transcribe.recordings import AudioPaths, Recording, find_recordings
from speechllm.transcribe.transcript import Transcript

log = logging.getLogger(__name__)

SHORTEST = 0.1  # seconds; less is no speech, and for some encoders not even a frame
WINDOW_SECONDS = 300.0  # of audio that is encoded before it is sorted by length and decoded


class CutConfig(Section):
    """Segmentation of long recordings."""

    max_seconds: Annotated[float, Field(ge=2)] = 30.0
    """Length of the longest piece in seconds; a recording that is not longer stays whole."""
    min_pause: Annotated[float, Field(ge=0.05)] = 0.3
    """Seconds of quiet that count as a pause."""
    vad: Vad = "auto"
    """Detector of speech: silero, where the extra `vad` is installed, or energy."""


class Recogniser:
    """A Speech LLM and its encoder in memory, of one domain at a time.

    `speechllm.SpeechLLM` is this class:

        SpeechLLM.from_pretrained("exp/packed").transcribe("visit.wav", domain="medical")[0].text

    Attributes:
        decode: settings of the search, unless a call says otherwise.
        domain: of the transcripts, unless a call says otherwise.
    """

    def __init__(self, switch: DomainSwitch, encoder: Encoder, decode: DecodeConfig, domain: str):
        self._switch, self._encoder = switch, encoder
        self.decode, self.domain = decode, domain
        self._precision: str | None = None  # that the weights were made quick for
        self._kept: tuple[str, str, float] | None = None  # domain, precision, adapted

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str],
        domain: str | None = None,
        device: str | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
    ) -> "Recogniser":
        """Load a model and its encoder.

        Args:
            model: a packed folder, the folder of a run (`exp/base/...`, from the recipe's folder),
                or the hub id of a packed model, owner/name or owner/name@revision. A folder comes
                first, and without a revision `exp/...` is never looked up where there is an `exp`.
            domain: what `transcribe` takes where it is not told; by default the base, or the one
                domain of a run.
            device: where to compute; by default the GPU, where there is one.
            trust_remote_code: let a packed model's encoder and LLM bring code of their own from the
                hub. A run's own config says this for itself.
            revision: commit, branch or tag of the hub's model; by default the newest, or without a
                network the last one that was fetched. The log names the commit.

        Raises:
            ConfigError: no such domain; said before anything is loaded. Or a revision is malformed,
                or given for a folder.
            SpeechLLMError: no such model, one of a newer format, tensors that are missing or have
                changed, or a pretrained model under it that is not within reach.
        """
        return cls(*load_parts(os.fspath(model), domain, device, trust_remote_code, revision))

    @property
    def task(self) -> Task:
        """Task of the model."""
        return self._switch.model.task

    @property
    def domains(self) -> list[str]:
        """Domains that the model can be switched to."""
        return self._switch.domains

    def keep_to(self, domain: str, precision: str, adapted: float = 1.0) -> None:
        """Fix one domain, and prepare its weights for a fast search as `speechllm decode` does.

        Args:
            domain: one of `domains`; the only one from now on.
            precision: precision of every search from now on: fp32, bf16 or auto.
            adapted: weight of the change by adaptation, from 0 (the base) to 1 (adapted).

        Raises:
            ConfigError: there is no such domain, `adapted` is not 1 for a model that was not
                adapted, or `keep_to` was called with other settings before.
        """
        wanted = (domain, precision, adapted)
        if self._kept:
            if self._kept == wanted:
                return
            domain, precision, adapted = self._kept
            raise ConfigError(
                f"the recogniser is kept to {domain} in {precision}, adapted: {adapted:g} already",
                "load the model anew",
            )
        model = self._switch.to(domain)
        weigh_adaptation(model, adapted)
        model.freeze_for_search(precision)
        self._switch, self.domain = DomainSwitch(model, domain, {}), domain
        self._precision, self._kept = precision, wanted
        kept = {"precision": precision, "adapted": adapted}
        self.decode = self.decode.model_copy(update=kept)

    def transcribe(
        self,
        audio: AudioPaths,
        domain: str | None = None,
        *,
        max_seconds: float = 30.0,
        min_pause: float = 0.3,
        vad: Vad = "auto",
        channel: int | None = None,
        allow_pipes: bool = False,
        **decode: object,
    ) -> list[Transcript]:
        """Transcribe files, folders of files, wav.scp files or data dirs.

        Args:
            audio: one path or several.
            domain: one of `domains`; by default that of `load`.
            max_seconds: longer recordings are cut at pauses into pieces that are not longer.
            min_pause: seconds of quiet that count as a pause.
            vad: detector of speech: silero (the extra `vad`), energy, or auto: the better of those
                that are there.
            channel: the one that is heard, from 0; by default what a data dir names, else the mean.
            allow_pipes: let a wav.scp hold shell commands, which can do all that you can do.
            decode: keys of DecodeConfig that differ from the model's own, e.g. `beam=8`.

        Returns:
            One transcript for each recording, in their order. One that could not be read has its
            `error`, which its `text` raises.

        Raises:
            ConfigError: no such domain, or a wrong setting.
            DataError: there is nothing to transcribe.
        """
        cut = parse(
            CutConfig,
            {"max_seconds": max_seconds, "min_pause": min_pause, "vad": vad},
            "transcribe",
        )
        config = parse(DecodeConfig, self.decode.model_dump() | decode, "transcribe")
        recordings = find_recordings(audio, channel)
        return list(self.stream(recordings, domain, config, cut, allow_pipes))

    def stream(
        self,
        recordings: Sequence[Recording],
        domain: str | None = None,
        config: DecodeConfig | None = None,
        cut: CutConfig | None = None,
        allow_pipes: bool = False,
    ) -> Iterator[Transcript]:
        """Transcribe recordings, and yield each transcript as soon as it is finished.

        Args:
            recordings: recordings to transcribe.
            domain: one of `domains`; by default `self.domain`.
            config: settings of the search; by default `self.decode`.
            cut: segmentation of long recordings.
            allow_pipes: let a wav.scp hold shell commands; they run with your rights.

        Yields:
            One transcript for each recording, in the same order.

        Raises:
            ConfigError: there is no such domain, or the weights were prepared for another precision
                (`keep_to`).
        """
        domain = domain or self.domain
        cut = cut or CutConfig()
        check_vad(cut.vad)
        config = _without_records(config or self.decode)
        if self._precision not in (None, config.precision):
            raise ConfigError(
                f"the weights were made quick for precision {self._precision}, not "
                f"{config.precision}",
                "load the model anew",
            )
        decoder = Decoder.load(self._switch.to(domain), config)
        total = sum(_duration(recording, allow_pipes) for recording in recordings)
        started = time.perf_counter()
        read = kept = 0.0
        unsaid: list[Transcript] = []
        heard: list[str] = []
        window: list[EncodedPiece] = []
        odd: dict[str, list[str]] = {}
        with Progress(f"transcribe ({domain})", round(total, 1), "s") as progress:
            for recording in recordings:
                transcript = Transcript(recording, domain, self.task)
                wave = _read(transcript, allow_pipes)
                for note in transcript.notes:
                    odd.setdefault(note, []).append(transcript.id)
                with wave or nullcontext():
                    for piece in self._encoded(transcript, wave, cut):
                        window.append(piece)
                        kept += piece.seconds
                        if sum(p.seconds for p in window) < WINDOW_SECONDS:
                            continue
                        for decoded in decode_pieces(window, decoder):
                            progress.advance(decoded)
                        window.clear()
                        heard += [piece.text for said in unsaid for piece in said.pieces]
                        yield from unsaid
                        unsaid.clear()
                unsaid.append(transcript)
                read += wave.size / SAMPLE_RATE if wave else 0.0
            for decoded in decode_pieces(window, decoder):
                progress.advance(decoded)
            progress.advance(
                max(round(total - progress.done, 1), 0)
            )  # what was silence, or cannot be read
            heard += [piece.text for said in unsaid for piece in said.pieces]
            yield from unsaid
        for note, ids in odd.items():
            log.warning("%s: %s", note, first_ids(ids))
        say_fits(decoder, BiasLists(), domain, heard, "transcripts")
        log.info(
            "%s: %d recordings, %.1f s, of which %.1f s were left out as silence; RTF %.3f",
            *(domain, len(recordings), read, max(0.0, read - kept)),
            (time.perf_counter() - started) / max(read, SHORTEST),
        )

    def _encoded(
        self, transcript: Transcript, wave: Samples | None, cut: CutConfig
    ) -> Iterator[EncodedPiece]:
        """Cut a recording into pieces and encode them one by one."""
        if wave is None or wave.is_flat:  # nothing to hear, so nothing to invent
            return
        for start, end in cut_at_pauses(wave, cut.max_seconds, cut.min_pause, cut.vad):
            try:
                yield encode_piece(self._encoder, transcript, wave, (start, end))
            except AudioError as error:
                _fail(transcript, error)
                return


def _without_records(config: DecodeConfig) -> DecodeConfig:
    """Turn off, with a warning, settings that need a data dir or show only in its records."""
    off = {"biasing": None, "confidence": False, "word_times": "none"}
    if left_out := [key for key, value in off.items() if getattr(config, key) != value]:
        log.warning("only `speechllm decode` has this, so it is left out: %s", ", ".join(left_out))
    return config.model_copy(update=off)


def _read(transcript: Transcript, allow_pipes: bool) -> Samples | None:
    """Read a recording's samples; on failure, set the transcript's error and return None."""
    audio = transcript.recording.audio
    try:
        wave = Samples(audio, allow_pipes)
    except AudioError as error:
        _fail(transcript, error)
        return None
    transcript.notes = wave.notes
    if wave.mixed > 1:
        transcript.notes += (f"{mixed(wave.mixed)}; --channel names one",)
    if wave.size < SHORTEST * SAMPLE_RATE:
        detail = f"{wave.size / SAMPLE_RATE:.3f} s"
        _fail(transcript, AudioError(f"audio is shorter than {SHORTEST} s", audio, detail))
        wave.close()
        return None
    return wave


def _fail(transcript: Transcript, error: AudioError) -> None:
    """Log the error of a recording and keep it in the transcript; others go on."""
    source = transcript.recording.audio.source
    said = f"{source}: {': '.join(filter(None, (error.reason, error.detail)))}"
    log.error("%s: %s", transcript.id, f"{said}\n  -> {error.remedy}" if error.remedy else said)
    transcript.error = error


def _duration(recording: Recording, allow_pipes: bool) -> float:
    """Seconds by the header, for the progress bar; 0 if unreadable, which is reported later."""
    try:
        return guessed_duration(recording.audio, allow_pipes)
    except AudioError:
        return 0.0
