"""Speech from text by a plug-in: espeak-ng, any command, or any Python function."""

import importlib
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import soxr
from pydantic import Field, model_validator

from speechllm.config import PositiveFloat, Section
from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech.audio import load_audio
from speechllm.data.speech.synthesis.tts import SAMPLE_RATE, Voice, espeak
from speechllm.errors import ConfigError, SpeechLLMError

Speak = Callable[[str, str], np.ndarray]
"""(utterance id, text) -> float32 [samples] at 16 kHz."""

MOST_SECONDS = 600
"""Longest speech of one utterance that is accepted."""
MOST_BYTES = 1 << 28
"""Most bytes that a command may write to its audio file, and to its log."""
POLL_SECONDS = 0.1
TEXT_FILE, OUT = "{text_file}", "{out}"


class EspeakVoices(Section):
    """Voices of espeak-ng; every utterance draws one."""

    accents: Annotated[tuple[str, ...], Field(min_length=1)] = ("en-us",)
    variants: Annotated[tuple[str, ...], Field(min_length=1)] = ("m1", "m3", "m7", "f1", "f2", "f4")
    rate: tuple[Annotated[int, Field(ge=80)], Annotated[int, Field(le=450)]] = (150, 200)
    """Speaking rates in words a minute: [lowest, highest]."""
    pitch: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(le=99)]] = (35, 65)
    """Pitches, 0 to 99: [lowest, highest]; 50 is the variant's own pitch."""
    say: Annotated[dict[str, str], Field(default_factory=dict)]
    """Respelling of words that espeak would misread: `a: eigh` reads `a` as the letter."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.rate[0] > self.rate[1] or self.pitch[0] > self.pitch[1]:
            raise ValueError("rate and pitch are [from, to]")
        return self

    def draw(self, seed: int, utt_id: str) -> Voice:
        """Draw the voice of an utterance."""
        rng = random.Random(f"voice {seed} {utt_id}")
        return Voice(
            rng.choice(self.accents),
            rng.choice(self.variants),
            rng.randint(*self.rate),
            rng.randint(*self.pitch),
        )

    def spelled(self, text: str) -> str:
        """Text with the words of `say` respelled, for espeak."""
        return " ".join(self.say.get(word, word) for word in text.split()) if self.say else text


class CommandTts(Section):
    """A program that reads a text file and writes an audio file; run without a shell."""

    argv: tuple[str, ...]
    """Program and arguments, with {text_file} and {out} where the two paths go."""
    timeout: PositiveFloat = 60.0
    """Longest time for one utterance, in seconds."""

    @model_validator(mode="after")
    def _has_places(self) -> Self:
        for place in (TEXT_FILE, OUT):
            if not any(place in argument for argument in self.argv):
                raise ValueError(f"argv: no argument holds {place}")
        return self


class TtsConfig(Section):
    """Config of speech synthesis: exactly one of the plug-ins espeak, command and python."""

    espeak: EspeakVoices | None = None
    command: CommandTts | None = None
    python: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] | None = None
    """Function, as `module:function`: text -> (samples [n], sample rate in Hz)."""
    allow_commands: bool = False
    """Let `command` and `python` run. They can do all that you can do: run only what you trust."""

    @model_validator(mode="after")
    def _one_allowed(self) -> Self:
        given = [n for n in ("espeak", "command", "python") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of espeak, command and python")
        if given != ["espeak"] and not self.allow_commands:
            raise ValueError(f"{given[0]} runs code: set allow_commands: true if you trust it")
        return self


def make_speaker(config: TtsConfig, seed: int) -> Speak:
    """Make the function that speaks with a plug-in.

    Args:
        config: the plug-in.
        seed: of the choice of espeak's voices.

    Returns:
        A function that raises ConfigError, naming the utterance, whatever goes wrong inside.

    Raises:
        ConfigError: a Python function that cannot be found.
    """
    if config.espeak:
        voices = config.espeak

        def produce(utt_id: str, text: str) -> np.ndarray:
            return espeak().synthesise(voices.spelled(text), voices.draw(seed, utt_id))

    elif config.command:
        command = config.command

        def produce(utt_id: str, text: str) -> np.ndarray:
            return _run(command, text)

    else:
        function = _find(config.python)

        def produce(utt_id: str, text: str) -> np.ndarray:
            samples, rate = function(text)
            return soxr.resample(np.asarray(samples, np.float32), rate, SAMPLE_RATE)

    def speak(utt_id: str, text: str) -> np.ndarray:
        try:
            samples = produce(utt_id, text)
        except Exception as error:  # a plug-in may raise anything
            kind = "" if isinstance(error, SpeechLLMError) else f"{type(error).__name__}: "
            raise ConfigError(f"tts: no speech for utterance {utt_id}: {kind}{error}") from error
        fault = _fault(samples)
        if fault:
            raise ConfigError(f"tts: no speech for utterance {utt_id}: the samples {fault}")
        return samples

    return speak


def _fault(samples: np.ndarray) -> str | None:
    if samples.ndim != 1:
        return f"have {samples.ndim} dimensions instead of one"
    if not np.isfinite(samples).all():
        return "hold NaN or Inf"
    if not np.any(samples):
        return "are silence"
    if len(samples) > MOST_SECONDS * SAMPLE_RATE:
        return f"last longer than {MOST_SECONDS} s"
    return None


def _find(name: str) -> Callable[[str], tuple[Any, float]]:
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"tts.python: {name} cannot be found: {error}") from error


def _run(command: CommandTts, text: str) -> np.ndarray:
    """Run the command for one text, within its bounds of time and of bytes."""
    with tempfile.TemporaryDirectory() as folder:
        text_file, out, complaint = (Path(folder) / name for name in ("text", "out.wav", "log"))
        text_file.write_text(text + "\n", encoding="utf-8")
        argv = [
            argument.replace(TEXT_FILE, str(text_file)).replace(OUT, str(out))
            for argument in command.argv
        ]
        with complaint.open("wb") as stream:
            # A session of its own, so that the limits end everything that the command started.
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = _wait(process, command.timeout, [out, complaint])
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        if status != 0:
            tail = complaint.read_bytes()[-500:].decode("utf-8", errors="replace").strip()
            raise SpeechLLMError(f"exit status {status}: {tail}")
        return load_audio(Audio(str(out), recording="out"))


def _wait(process: "subprocess.Popen[bytes]", timeout: float, files: list[Path]) -> int:
    deadline = time.monotonic() + timeout
    while True:
        try:
            return process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise SpeechLLMError(f"the command ran longer than {timeout:g} s") from None
            if any(file.exists() and file.stat().st_size > MOST_BYTES for file in files):
                message = f"the command wrote more than {MOST_BYTES} bytes"
                raise SpeechLLMError(message) from None
