"""Utterances of a data dir with their frames, which are made before any clock runs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechllm.data.dirs.kaldi import DataDir
from speechllm.data.speech.audio import SAMPLE_RATE, load_audio
from speechllm.model.encoder.encoder import Encoder
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Example


@dataclass(frozen=True)
class Utterance:
    """An utterance as views render it, and its duration in seconds."""

    example: Example
    seconds: float


def load_utterances(model: SpeechLLM, data: Path, most: int) -> list[Utterance]:
    """The first utterances of a data dir, longest first, as decoding takes them.

    Args:
        model: whose encoder and tokenizer make frames and targets.
        data: data dir with audio and text.
        most: so many at most.
    """
    found = DataDir.load(data)
    waves = {utt: load_audio(audio) for utt, audio in list(found.audio.items())[:most]}
    settings = model.config.encoder_settings
    frames = Encoder(model.config.audio_model, **settings).encode(list(waves.values()))
    utterances = []
    for (utt, wave), heard in zip(waves.items(), frames, strict=True):
        target = model.tokenizer(found.text[utt], add_special_tokens=False).input_ids
        example = Example(utt, "audio", np.asarray(heard, np.float16), target)  # as in the cache
        utterances.append(Utterance(example, len(wave) / SAMPLE_RATE))
    return sorted(utterances, key=lambda u: (-u.seconds, u.example.utt_id))
