"""Speed perturbation of a set (Ko et al., Interspeech 2015), like perturb_data_dir_speed.sh."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import soxr

from speechllm.data.dirs.ids import speed_prefix
from speechllm.data.dirs.kaldi import CHANNELS, DataDir
from speechllm.data.dirs.set_tables import SetTables, Table, is_data_dir, read_set, refuse_inside
from speechllm.data.speech.audio import SAMPLE_RATE, load_audio, write_audio
from speechllm.errors import DataError
from speechllm.files.progress import track
from speechllm.files.whole import whole_folder

OF_THE_AUDIO = (
    "wav.scp",
    CHANNELS,
    "segments",
    "utt2dur",
    "utt2num_frames",
    "feats.scp",
    "vad.scp",
)
"""Tables that do not hold for the new audio."""


def perturb(source: Path, speed: float, target: Path, allow_pipes: bool = False) -> SetTables:
    """Write a copy of `source` that is `speed` times as fast, and its pitch as much higher.

    Utterances and speakers get new ids, `sp<speed>-<id>`. Tables that are not about the audio
    itself are kept, unknown ones included.

    Args:
        source: data dir to read.
        speed: factor; 0.9 makes speech slower, and longer.
        target: data dir to write, with a FLAC file at 16 kHz for each utterance; it appears whole.
        allow_pipes: run the commands of `wav.scp`.

    Raises:
        DataError: as `read_set`; no audio, some that cannot be read, or `target` holds `source`.
    """
    refuse_inside(source, target)
    tables, data = read_set(source), DataDir.load(source)
    if not data.has_audio:
        raise DataError("this set has no audio, and it is needed", source)
    prefix = speed_prefix(speed)
    wav = {utt: f"audio/{prefix}{utt}.flac" for utt in data.ids}

    with whole_folder(target, is_data_dir) as folder:
        (folder / "audio").mkdir()

        def one(utt: str) -> float:
            samples = load_audio(data.audio[utt], SAMPLE_RATE, allow_pipes)
            samples = soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE)
            write_audio(folder / wav[utt], samples, SAMPLE_RATE)
            return len(samples) / SAMPLE_RATE

        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            seconds = list(track(pool.map(one, data.ids), target.name, len(data.ids)))
        utterances = {n: t for n, t in tables.utterances.items() if n not in OF_THE_AUDIO}
        speaker_of = {utt: prefix + tables.speaker_of(utt) for utt in data.ids}
        utterances |= {
            "wav.scp": {utt: str(target / path) for utt, path in wav.items()},
            "utt2spk": speaker_of,
            "utt2dur": {utt: f"{s:.4f}" for utt, s in zip(data.ids, seconds, strict=True)},
        }
        result = SetTables(
            target,
            _renamed(utterances, prefix),
            speakers=_renamed(tables.speakers, prefix),
            bias_words=tables.bias_words,
        )
        result.write_into(folder)
    return result


def _renamed(tables: dict[str, Table], prefix: str) -> dict[str, Table]:
    return {name: {prefix + k: v for k, v in table.items()} for name, table in tables.items()}
