"""Stage 2 of data.sh: a FLAC file for every utterance, and the phones of the general sets.

Each file is a function of its utterance's id and text alone, so any number of processes make the
same files, and a run that was killed goes on where it stopped.
"""

import argparse
import hashlib
import logging
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from acoustics import record
from voices import Speaker, speakers

from speechllm.data.kaldi import DataDir, read_table, write_data_dir, write_table
from speechllm.data.tts import SAMPLE_RATE, Voice, espeak
from speechllm.errors import SpeechLLMError
from speechllm.progress import Progress

log = logging.getLogger(__name__)

CHUNK = 50  # utterances a process takes at a time


def utterance_rng(utt: str) -> np.random.Generator:
    """Return the random numbers of one utterance."""
    return np.random.default_rng(np.frombuffer(hashlib.sha256(utt.encode()).digest(), np.uint32))


def speak(utt: str, text: str, speaker: Speaker) -> np.ndarray:
    """Return float32 [samples] at 16 kHz: the speaker's voice, a little different each time."""
    rng = utterance_rng(utt)
    rate = round(speaker.rate * rng.uniform(0.92, 1.08))
    pitch = int(np.clip(speaker.pitch + rng.integers(-6, 7), 0, 99))
    voice = Voice(speaker.accent, speaker.variant, rate, pitch)
    return record(espeak().synthesise(text, voice), rng)


def make_file(folder: Path, utt: str, text: str, speaker: Speaker) -> float:
    """Make one FLAC file unless it is there; return its duration in seconds."""
    path = folder / f"{utt}.flac"
    if path.exists():
        return soundfile.info(path).duration
    samples = speak(utt, text, speaker)
    # Not fsynced as whole_file does: 15,000 small files; a half-written one keeps its own name.
    temporary = folder / f".{utt}.{os.getpid()}.tmp"
    soundfile.write(temporary, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    os.replace(temporary, path)
    return len(samples) / SAMPLE_RATE


def make_files(folder: Path, items: list[tuple[str, str, Speaker]]) -> list[float]:
    """Make several files; return their durations."""
    return [make_file(folder, *item) for item in items]


def forget_other_words(folder: Path, text: dict[str, str]) -> None:
    """Remove files in which an utterance says something else, as with an earlier grammar."""
    spoken = folder / "spoken"
    before = read_table(spoken) if spoken.is_file() else {}
    for utt in before.keys() & text.keys():
        if before[utt] != text[utt]:
            (folder / f"{utt}.flac").unlink(missing_ok=True)
    write_table(spoken, text)


def speak_set(data: Path, name: str, pool: ProcessPoolExecutor, with_phones: bool) -> None:
    """Make the audio of one set and complete its data dir."""
    here = DataDir.load(data / name)
    if here.has_audio:
        return
    folder = data / "audio" / name
    folder.mkdir(parents=True, exist_ok=True)
    forget_other_words(folder, here.text)
    people = {speaker.name: speaker for speaker in speakers()}
    items = [(utt, here.text[utt], people[here.utt2spk[utt]]) for utt in here.ids]
    chunks = [items[i : i + CHUNK] for i in range(0, len(items), CHUNK)]
    seconds: list[float] = []
    with Progress(name, len(items)) as progress:
        for found in pool.map(partial(make_files, folder), chunks):
            seconds += found
            progress.advance(len(found))
    if with_phones:
        phones = {utt: " ".join(espeak().phones(text, who.accent)) for utt, text, who in items}
        write_table(data / name / "phones", phones)
    write_data_dir(  # its wav.scp says that the set is done
        data / name,
        text=here.text,
        wav={utt: str(folder / f"{utt}.flac") for utt in here.ids},
        utt2spk=here.utt2spk,
        utt2dur=dict(zip(here.ids, seconds, strict=True)),
        entities=here.entities,
    )


def make(data: Path, nj: int) -> None:
    """Make the audio of all sets in `data` that have speakers, with `nj` processes."""
    espeak()  # a missing package is reported once, and not by every process
    with ProcessPoolExecutor(nj) as pool:
        for name in sorted(path.parent.name for path in data.glob("*/utt2spk")):
            speak_set(data, name, pool, with_phones=name.startswith("general"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--nj", type=int, default=2, help="processes")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    make(args.data, args.nj)


if __name__ == "__main__":
    try:
        main()
    except SpeechLLMError as error:
        raise SystemExit(str(error)) from None
