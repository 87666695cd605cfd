"""Utterances of one domain in memory: transcripts, lengths, and encoder frames on disk."""

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from speechllm.data.dirs.answers import read_targets
from speechllm.data.dirs.kaldi import DataDir
from speechllm.data.speech.feature_records import NO_SETTINGS
from speechllm.data.speech.features import open_features
from speechllm.errors import DataError, shell_word
from speechllm.files.garbage import uncollected
from speechllm.task import Task

SECONDS_PER_HOUR = 3600
TEXTS_AT_ONCE = 10_000  # a tokenizer's answer takes some 4 KB a text


class Corpus:
    """One or several data dirs as one set of utterances; some dirs may be of text alone.

    Args:
        dirs: the data dirs.
        task: task that defines the LLM's answers; None: the transcripts.

    Attributes:
        name: names of the data dirs, joined by "+".
        text: transcript by utterance id; views put it into the slot.
        targets: expected answer by utterance id; for speech recognition the transcript.
        frames: encoder output [T, D] float16 by utterance id, read on access; empty unless the
            features were opened.
        frame_counts: T by utterance id.
        encode_seconds: time in which stage 3 made these frames.
        text_tokens: number of tokens of each transcript, once `measure` was called.
        target_tokens: number of tokens of each target, once `measure` was called.
        speech_lengths: LLM positions of each utterance's speech, once `measure` was called.
        origin: how the data were made, for run.json; empty if they were given.

    Raises:
        DataError: an utterance id occurs in two data dirs.
    """

    def __init__(self, dirs: Sequence[DataDir], task: Task | None = None):
        self.dirs = dirs
        self.name = "+".join(d.name for d in dirs)
        self.text: dict[str, str] = {}
        self.targets: dict[str, str] = {}
        for data_dir in dirs:
            twice = next((utt for utt in data_dir.text if utt in self.text), None)
            if twice:
                raise DataError(
                    f"the utterance {twice} is also in another set of {self.name}",
                    data_dir.path / "text",
                )
            self.text |= data_dir.text
            self.targets |= read_targets(task, data_dir) if task else data_dir.text
        self.frames: Mapping[str, np.ndarray] = {}
        self.frame_counts: dict[str, int] = {}
        self.encode_seconds = 0.0
        self.text_tokens: dict[str, int] = {}
        self.target_tokens: dict[str, int] = {}
        self.speech_lengths: dict[str, int] = {}
        self.origin: dict[str, Any] = {}

    @classmethod
    def load(
        cls, paths: Sequence[str | Path], task: Task | None = None, with_text: bool = True
    ) -> "Corpus":
        """Read data dirs, as `DataDir.load` does.

        Args:
            paths: the data dirs.
            task: task that defines the LLM's answers; None: the transcripts.
            with_text: whether to read transcripts; without them there are no targets either.
        """
        dirs = [DataDir.load(path, with_text) for path in paths]
        return cls(dirs, task if with_text else None)

    def label(self, targets: Mapping[str, str]) -> "Corpus":
        """Keep only the utterances of `targets`, with these targets; returns the corpus itself."""
        self.text = {utt: self.text[utt] for utt in targets}
        self.targets = dict(targets)
        return self

    @property
    def has_audio(self) -> bool:
        """Whether any utterance has audio."""
        return any(data_dir.has_audio for data_dir in self.dirs)

    @property
    def spoken(self) -> list[str]:
        """Utterances with audio, in the order of `text`."""
        spoken = {utt for data_dir in self.dirs if data_dir.has_audio for utt in data_dir.ids}
        return [utt for utt in self.text if utt in spoken]

    @property
    def written(self) -> list[str]:
        """Utterances with a transcript, in the order of `text`."""
        return [utt for utt, words in self.text.items() if words]

    def open_frames(
        self, dump: Path, encoder: str, settings: Mapping[str, str] = NO_SETTINGS
    ) -> "Corpus":
        """Make the cached encoder output of every utterance with audio readable.

        Args:
            dump: root of the feature cache.
            encoder: folder or hub id of the encoder.
            settings: settings of the encoder that are not the default
                (`ModelConfig.encoder_settings`).

        Raises:
            DataError: no set has audio, one has no durations, or its features are missing, stale
                or incomplete.
        """
        if not self.has_audio:
            message = "this set has no audio, and the method needs it"
            raise DataError(message, self.dirs[0].path)
        readers = []
        for data_dir in (d for d in self.dirs if d.has_audio):
            if not data_dir.utt2dur:  # the hours heard are counted in the end
                fix = f"speechllm data fix {shell_word(data_dir.path)}"
                raise DataError("there are no durations: utt2dur", data_dir.path, remedy=fix)
            features = open_features(dump, encoder, data_dir, settings)
            readers.append(features.frames)
            self.frame_counts |= features.frame_counts
            self.encode_seconds += features.encode_seconds
        self.frames = ChainMap(*readers)
        return self

    @uncollected()
    def measure(self, tokenizer: Any, speech_length: Callable[[int], int]) -> "Corpus":
        """Count tokens and speech positions once, so that batches can be planned."""
        self.text_tokens = _token_counts(tokenizer, self.text)
        same = self.targets == self.text
        self.target_tokens = self.text_tokens if same else _token_counts(tokenizer, self.targets)
        self.speech_lengths = {i: speech_length(n) for i, n in self.frame_counts.items()}
        return self

    def hours(self, utt_ids: Sequence[str]) -> float:
        """Duration of some of the utterances, in hours."""
        durations = {k: v for d in self.dirs for k, v in d.utt2dur.items()}
        return sum(durations[utt] for utt in utt_ids) / SECONDS_PER_HOUR


def _token_counts(tokenizer: Any, texts: Mapping[str, str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    utts = iter(texts)
    while some := list(islice(utts, TEXTS_AT_ONCE)):
        encoded = tokenizer([texts[utt] for utt in some], add_special_tokens=False).input_ids
        counts.update(zip(some, map(len, encoded), strict=True))
    return counts
