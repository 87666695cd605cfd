"""Stage 3: how many seconds of audio are encoded and cached in a second.

`features` is all that `speechllm features` does to a set once the encoder is loaded: audio is read,
encoded, checked and written (recordings were hashed in the warm-up). `encoder` is the encoder
alone, on samples in memory.
"""

import shutil
from pathlib import Path

from gpu_common import DEVICE, GIB, Settings, figure, forget_peak, now, peak, profiled, say
from shapes import RATE

from speechllm.commands.features import THREADS_OF_A_GPU
from speechllm.data.dirs.kaldi import DataDir
from speechllm.data.speech.audio import load_audio
from speechllm.data.speech.features import extract, merge
from speechllm.model.encoder.encoder import Encoder

ENCODER = {"dtype": "auto"}
"""Settings that are not the default: bfloat16 where it is native."""


def measure(settings: Settings) -> None:
    """Rates over audio; frames of the warm-up are what training and decoding read."""
    encoder = Encoder(str(settings.encoder), DEVICE, **ENCODER)
    say(f"the encoder is loaded, in {encoder.model.dtype}; it takes batches: {encoder.batches}")
    data = DataDir.load(settings.data)
    cache(settings, settings.dump, encoder)
    say(f"warm-up: {data.name} is cached")
    forget_peak()
    seconds, took, turns = sum(data.utt2dur.values()), 0.0, 0
    while took < settings.seconds:
        folder = settings.dump.with_name("dump.turn")
        shutil.rmtree(folder, ignore_errors=True)
        started = now()
        cache(settings, folder, encoder)
        took, turns = took + now() - started, turns + 1
        figure("features", turns * seconds / took, "s/s", 5000)
    shutil.rmtree(folder)
    figure("features, peak memory", peak() / GIB, "GiB")
    _encoder_alone(settings, encoder, data)


def cache(settings: Settings, dump: Path, encoder: Encoder | None = None) -> None:
    """Cache the encoder's output of the noise, unless it is there."""
    data, name = [DataDir.load(settings.data)], str(settings.encoder)
    extract(
        data,
        dump,
        name,
        lambda: (encoder or Encoder(name, DEVICE, **ENCODER)).encode,
        batch_seconds=settings.batch_seconds,
        settings=ENCODER,
        threads=lambda: THREADS_OF_A_GPU if DEVICE == "cuda" else 1,
    )
    merge(data, dump, name, ENCODER)


def _encoder_alone(settings: Settings, encoder: Encoder, data: DataDir) -> None:
    """One batch of the longest utterances, again and again."""
    longest = max(data.utt2dur.values())
    count = max(1, int(settings.batch_seconds / longest))
    chosen = sorted(data.ids, key=lambda utt: data.utt2dur[utt])[-count:]
    waves = [load_audio(data.audio[utt]) for utt in chosen]
    encoder.encode(waves)
    started, turns = now(), 0
    while (took := now() - started) < settings.seconds / 4 or not turns:
        encoder.encode(waves)
        turns += 1
    figure("encoder", turns * sum(map(len, waves)) / RATE / took, "s/s")
    with profiled(settings, "features"):
        encoder.encode(waves)
