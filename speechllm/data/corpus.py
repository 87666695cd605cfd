"""Utterances of one domain in memory: transcripts, lengths, and encoder frames on disk."""

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speechllm.data.features import NO_SETTINGS, open_features
from speechllm.data.kaldi import DataDir
from speechllm.errors import DataError

SECONDS_PER_HOUR = 3600


class Corpus:
    """One or several data dirs as one set of utterances.

    Attributes:
        name: names of the data dirs, joined by "+".
        text: transcript by utterance id.
        frames: encoder output [T, D] float16 by utterance id, read when asked for; empty
            unless the features were opened.
        frame_counts: T by utterance id.
        encode_seconds: time that stage 3 took for them.
        token_counts: tokens of each transcript, once `measure` was called.
        speech_lengths: LLM positions of each utterance's speech, once `measure` was called.
        origin: how its data were made, for run.json; empty where they were given.
    """

    def __init__(self, dirs: Sequence[DataDir]):
        self.dirs = dirs
        self.name = "+".join(d.name for d in dirs)
        self.text: dict[str, str] = {}
        for data_dir in dirs:
            twice = next((utt for utt in data_dir.text if utt in self.text), None)
            if twice:
                raise DataError(
                    f"the utterance {twice} is also in another set of {self.name}",
                    data_dir.path / "text",
                )
            self.text |= data_dir.text
        self.frames: Mapping[str, np.ndarray] = {}
        self.frame_counts: dict[str, int] = {}
        self.encode_seconds = 0.0
        self.token_counts: dict[str, int] = {}
        self.speech_lengths: dict[str, int] = {}
        self.origin: dict[str, Any] = {}

    @classmethod
    def load(cls, paths: Sequence[str | Path], with_text: bool = True) -> "Corpus":
        """Read data dirs, as `DataDir.load` does."""
        return cls([DataDir.load(path, with_text) for path in paths])

    @property
    def has_audio(self) -> bool:
        return all(data_dir.has_audio for data_dir in self.dirs)

    def open_frames(
        self, dump: Path, encoder: str, settings: Mapping[str, str] = NO_SETTINGS
    ) -> "Corpus":
        """Make the cached encoder output of every utterance readable.

        Args:
            dump: root of the feature cache.
            encoder: folder or hub id.
            settings: of the encoder, where not the default (`ModelConfig.encoder_settings`).

        Raises:
            DataError: a set without audio or durations, or its features are missing, stale or
                incomplete.
        """
        readers = []
        for data_dir in self.dirs:
            if not data_dir.has_audio:
                raise DataError("this set has no audio, and the method needs it", data_dir.path)
            if not data_dir.utt2dur:  # the hours heard are counted in the end
                fix = f"speechllm fix {data_dir.path}"
                raise DataError("there are no durations: utt2dur", data_dir.path, remedy=fix)
            features = open_features(dump, encoder, data_dir, settings)
            readers.append(features.frames)
            self.frame_counts |= features.frame_counts
            self.encode_seconds += features.encode_seconds
        self.frames = ChainMap(*readers)
        return self

    def measure(self, tokenizer: Any, speech_length: Callable[[int], int]) -> "Corpus":
        """Count tokens and speech positions once, so that batches can be planned."""
        ids = list(self.text)
        if ids:
            encoded = tokenizer([self.text[i] for i in ids], add_special_tokens=False).input_ids
            self.token_counts = {i: len(e) for i, e in zip(ids, encoded, strict=True)}
        self.speech_lengths = {i: speech_length(n) for i, n in self.frame_counts.items()}
        return self

    def hours(self, utt_ids: Sequence[str]) -> float:
        """Duration of some of the utterances, in hours."""
        durations = {k: v for d in self.dirs for k, v in d.utt2dur.items()}
        return sum(durations[utt] for utt in utt_ids) / SECONDS_PER_HOUR
