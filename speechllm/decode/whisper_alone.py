"""Transcripts of test sets by a Whisper alone: its own decoder, without a projector and an LLM.

    <folder>/run.json                               which Whisper; kind: reference
    <folder>/decode_<tag>/<set>/{text,decode.json}  as of a trained model, for score and report
    <folder>/decode_<tag>/<set>/transcripts         transcripts, where `text` holds other answers

Each utterance is encoded by itself, in windows padded to the full length as in Whisper's training,
and decoded by greedy search. A window whose text loops is decoded again by sampling, as in OpenAI's
own decoder (2212.04356, section 4.5), from a fixed seed; the probability of the text is not used.
"""

import logging
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from speechllm.data.dirs.kaldi import DataDir, read_table, write_table
from speechllm.data.speech.audio import SAMPLE_RATE, load_audio
from speechllm.data.speech.feature_records import audio_hash
from speechllm.decode.results import SETTINGS, SUMMARY, TEXT, WRITTEN, check_written
from speechllm.environment import environment
from speechllm.errors import ConfigError, DataError, SpeechLLMError, shell_word
from speechllm.experiment import decode_folder
from speechllm.files.layout import REFERENCE, RUN
from speechllm.files.locks import locked_folder
from speechllm.files.made_from import MADE_FROM, changed_since, digest, write_record
from speechllm.files.own import made_again, read_mapping
from speechllm.files.progress import Progress
from speechllm.files.whole import sha256_of, write_json
from speechllm.imported import source_of
from speechllm.model.compute.precision import autocast
from speechllm.model.encoder.window import pieces
from speechllm.pretrained import (
    LOADING_ERRORS,
    cannot_be_loaded,
    load_model,
    model_files,
    quietly,
    resolve_folder,
)

log = logging.getLogger(__name__)

KEY = "--model"
TRANSCRIPTS = "transcripts"
TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)  # tried in turn
COMPRESSION = 2.4  # a text with a higher compression ratio of zlib loops
SEARCH = f"greedy, sampled again where compressed by more than {COMPRESSION}"
AT_ONCE = 8  # windows of a batch, utterances of a call: each token reads the weights once for all


@dataclass(frozen=True)
class AnswerRule:
    """Rule that makes answers of another task from transcripts.

    Attributes:
        task: name of the task.
        rule_of: data dir -> function from transcript to answer.
        files_of: data dir -> files that the rule depends on, by name.
    """

    task: str
    rule_of: Callable[[Path], Callable[[str], str]]
    files_of: Callable[[Path], Mapping[str, Path]]


class Whisper:
    """Whisper of transformers, encoder and decoder.

    Args:
        name: folder or hub id.
        language: of the speech, such as `en`; ignored by a model of one language.
        device: device of the model; the encoder runs in bfloat16 where the device supports it.

    Raises:
        ConfigError: it cannot be loaded, is no Whisper, or does not know the language.
    """

    def __init__(self, name: str, language: str = "en", device: str = "cpu"):
        from transformers import AutoConfig, AutoProcessor, WhisperForConditionalGeneration

        folder = resolve_folder(name, KEY)
        try:
            kind = AutoConfig.from_pretrained(folder).model_type
            if kind != "whisper":
                message = f"{KEY}: {name} is no Whisper, its config says {kind}"
                raise ConfigError(message, "name a folder or hub id of a Whisper")
            self.processor = AutoProcessor.from_pretrained(folder)
        except LOADING_ERRORS as error:
            raise cannot_be_loaded(KEY, name, error) from error
        model = load_model(WhisperForConditionalGeneration, folder, KEY, name, dtype=torch.float32)
        self.model, self.device = model.eval().to(device), device
        self.options: dict[str, Any] = {"do_sample": False, "num_beams": 1}
        if getattr(model.generation_config, "is_multilingual", False):
            if f"<|{language}|>" not in model.generation_config.lang_to_id:
                message = f"--language: {name} does not know '{language}'"
                raise ConfigError(message, "give a code such as en, de or fr")
            self.options |= {"language": language, "task": "transcribe"}

    @torch.inference_mode()
    def transcribe(self, waves: Sequence[np.ndarray]) -> list[str]:
        """Transcript of each utterance, in one line.

        Windows are encoded one by one. They are decoded in batches, in float32, so that no text
        depends on the others.

        Args:
            waves: float32 [samples] at 16 kHz, one array for each utterance.
        """
        windows = [pieces(wave, self.processor.feature_extractor.n_samples) for wave in waves]
        heard = [self._heard(piece) for parts in windows for piece in parts]
        texts: list[str] = []
        for start in range(0, len(heard), AT_ONCE):
            texts += self._written(torch.cat(heard[start : start + AT_ONCE]))
        texts = [self._mended(*pair) for pair in zip(texts, heard, strict=True)]
        rest = iter(texts)
        return [" ".join(" ".join(next(rest) for _ in parts).split()) for parts in windows]

    def _written(self, states: Tensor, **options: Any) -> list[str]:
        """Texts of windows, from their encoder states [N, T, D]."""
        with quietly():
            tokens = self.model.generate(
                encoder_outputs=BaseModelOutput(states), **(self.options | options)
            )
        return self.processor.batch_decode(tokens, skip_special_tokens=True)

    def _mended(self, text: str, states: Tensor) -> str:
        """Text of a window with states [1, T, D], sampled again while it loops."""
        for temperature in TEMPERATURES:
            if not goes_in_circles(text):
                break
            with torch.random.fork_rng():
                torch.manual_seed(0)
                (text,) = self._written(states, do_sample=True, temperature=temperature)
        return text

    def _heard(self, piece: np.ndarray) -> Tensor:
        """[1, T, D] encoder states of one window."""
        features = self.processor.feature_extractor(
            piece, sampling_rate=SAMPLE_RATE, return_tensors="pt"
        ).to(self.device)
        with autocast("auto", self.device):
            return self.model.get_encoder()(**features).last_hidden_state.float()


def goes_in_circles(text: str) -> bool:
    """Whether a text loops: its compression ratio is above `COMPRESSION`."""
    plain = text.encode()
    return len(plain) > COMPRESSION * len(zlib.compress(plain))


def decode_alone(
    name: str,
    sets: Sequence[Path],
    out: Path,
    tag: str = "decode",
    language: str = "en",
    allow_pipes: bool = False,
    understanding: AnswerRule | None = None,
) -> None:
    """Transcribe the sets that are not yet transcribed.

    Args:
        name: folder or hub id of a Whisper.
        sets: data dirs with audio.
        out: folder of the results, beside the models'; its name is the system's in reports.
        tag: names the decode folder, `decode_<tag>`.
        language: see `Whisper`.
        allow_pipes: run the shell commands of wav.scp.
        understanding: rule that makes the answers, for a task other than asr.

    Raises:
        SpeechLLMError: the folder holds results of another model, audio or rule.
        DataError: a set has no audio.
        ConfigError: see `Whisper`.
        AudioError: a recording cannot be read.
    """
    resolve_folder(name, KEY)
    weights = sha256_of(model_files("encoder", name).values())
    open_sets = {path: DataDir.load(path) for path in sets}
    for path, data_dir in open_sets.items():
        if not data_dir.has_audio:
            raise DataError("is text alone", path, remedy="name sets with audio")
    _claim(name, weights, out, understanding.task if understanding else "asr")
    whisper = None
    for path, data_dir in open_sets.items():
        folder = out / decode_folder(tag) / path.name
        with locked_folder(folder):
            settings = {
                "model": weights,
                "audio": audio_hash(data_dir),
                "language": language,
                "search": SEARCH,
            }
            made_of = _recordings(data_dir)
            rule = None
            if understanding:
                made_of |= understanding.files_of(path)
                rule = understanding.rule_of(path)
            if _is_done(folder, settings, made_of, data_dir):
                log.info("%s: decoded already", folder)
                continue
            whisper = whisper or Whisper(
                name, language, "cuda" if torch.cuda.is_available() else "cpu"
            )
            write_json(folder / SETTINGS, settings)
            write_record(folder / MADE_FROM, made_of)
            _decode(whisper, data_dir, folder, allow_pipes, rule)


def _recordings(data_dir: DataDir) -> dict[str, Path]:
    """Audio files of a data dir; not shell commands, which `audio_hash` knows by their text."""
    files = {audio.source for audio in data_dir.audio.values() if not audio.is_pipe}
    return {file: Path(file) for file in files}


def _claim(name: str, weights: str, out: Path, task: str) -> None:
    """Make `out` the folder of this model's hypotheses."""
    path = out / RUN
    if path.is_file():
        found = read_mapping(path, made_again(out))
        made = (found.get("kind"), found.get("sha256"), found.get("task", "asr"))
        if made != (REFERENCE, weights, task):
            raise SpeechLLMError(
                f"{out} holds another model or task",
                f"rm -r {shell_word(out)}, or give another --out",
            )
        return
    source = source_of(name)
    write_json(
        path,
        {
            "kind": REFERENCE,
            "method": "whisper",
            "task": task,
            "model": name,
            "sha256": weights,
            "pretrained": {"encoder": dict(source)} if source else {},
            "environment": environment(),
        },
    )


def _is_done(
    folder: Path, settings: Mapping[str, str], made_of: Mapping[str, Path], data_dir: DataDir
) -> bool:
    if not (folder / SETTINGS).is_file():
        return False
    before = read_mapping(folder / SETTINGS, made_again(folder))
    odd = [key for key in settings if before.get(key) != settings[key]]
    odd += changed_since(folder / MADE_FROM, made_of) or []
    if odd:
        rest = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
        raise SpeechLLMError(
            f"{folder} holds hypotheses made with another {', '.join(odd[:3])}{rest}",
            f"rm -r {shell_word(folder)}, then decode again",
        )
    if not (folder / SUMMARY).is_file() or not check_written(folder):
        return False
    return read_table(folder / TEXT).keys() == data_dir.audio.keys()


def _decode(
    whisper: Whisper,
    data_dir: DataDir,
    folder: Path,
    allow_pipes: bool,
    rule: Callable[[str], str] | None,
) -> None:
    (folder / SUMMARY).unlink(missing_ok=True)
    texts: dict[str, str] = {}
    samples, took = 0, 0.0
    with Progress(f"whisper {data_dir.name}", len(data_dir.audio)) as progress:
        utts = list(data_dir.audio)
        for batch in (utts[n : n + AT_ONCE] for n in range(0, len(utts), AT_ONCE)):
            waves = [load_audio(data_dir.audio[utt], allow_pipes=allow_pipes) for utt in batch]
            started = time.perf_counter()
            found = whisper.transcribe(waves)
            took += time.perf_counter() - started
            texts |= zip(batch, found, strict=True)
            samples += sum(map(len, waves))
            progress.advance(len(batch))
    if rule:
        write_table(folder / TRANSCRIPTS, texts)
        texts = {utt: rule(text) for utt, text in texts.items()}
    write_table(folder / TEXT, texts)
    seconds = samples / SAMPLE_RATE
    write_json(
        folder / SUMMARY,
        {
            "set": data_dir.name,
            "utterances": len(texts),
            "audio_seconds": round(seconds, 3),
            "decode_seconds": round(took, 3),
            "rtf": took / seconds,
            WRITTEN: {TEXT: digest(folder / TEXT)},
        },
    )
