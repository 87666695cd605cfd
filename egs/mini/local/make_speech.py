"""Stage 2 of data.sh: a FLAC file for every utterance, and the phones of the general sets.

Each file is a function of its utterance's id and text alone, so any number of processes make the
same files, and a run that was killed goes on where it stopped.
"""

import hashlib
import logging
import os
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from acoustics import record
from piper import piper
from voices import NATURAL, Speaker, speakers

from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.data.dirs.kaldi import DataDir, read_table, write_data_dir, write_table
from speechllm.data.speech.synthesis.tts import SAMPLE_RATE, Voice, espeak
from speechllm.files.progress import Progress

log = logging.getLogger(__name__)

CHUNK = 20  # utterances a process takes at a time


def utterance_rng(utt: str) -> np.random.Generator:
    """Return the random numbers of one utterance."""
    return np.random.default_rng(np.frombuffer(hashlib.sha256(utt.encode()).digest(), np.uint32))


def speak(utt: str, text: str, speaker: Speaker, natural: Path) -> np.ndarray:
    """Return float32 [samples] at 16 kHz: the speaker's voice, a little different each time."""
    text = text.lower()  # espeak-ng spells some words in capitals
    rng = utterance_rng(utt)
    if speaker == NATURAL:
        return record(piper(natural).synthesise(text, int(rng.integers(2**31))), rng)
    rate = round(speaker.rate * rng.uniform(0.92, 1.08))
    pitch = int(np.clip(speaker.pitch + rng.integers(-6, 7), 0, 99))
    voice = Voice(speaker.accent, speaker.variant, rate, pitch)
    return record(espeak().synthesise(text, voice), rng)


def make_file(folder: Path, natural: Path, utt: str, text: str, speaker: Speaker) -> float:
    """Make one FLAC file unless it is there; return its duration in seconds."""
    path = folder / f"{utt}.flac"
    if path.exists():
        return soundfile.info(path).duration
    samples = speak(utt, text, speaker, natural)
    # Not fsynced as whole_file does: 15,000 small files; a half-written one keeps its own name.
    temporary = folder / f".{utt}.{os.getpid()}.tmp"
    soundfile.write(temporary, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    os.replace(temporary, path)
    return len(samples) / SAMPLE_RATE


def make_files(folder: Path, natural: Path, items: list[tuple[str, str, Speaker]]) -> list[float]:
    """Make several files; return their durations."""
    return [make_file(folder, natural, *item) for item in items]


def forget_other_words(folder: Path, text: dict[str, str]) -> None:
    """Remove files in which an utterance says something else, as with an earlier grammar."""
    spoken = folder / "spoken"
    if spoken.is_file():
        before = read_table(spoken)
        for utt, words in text.items():
            if before.get(utt) != words:
                (folder / f"{utt}.flac").unlink(missing_ok=True)
    write_table(spoken, text)


def speak_set(data: Path, name: str, pool: ProcessPoolExecutor, natural: Path) -> None:
    """Make the audio of one set and complete its data dir; general sets get their phones."""
    here = DataDir.load(data / name)
    if here.has_audio:
        return
    folder = data / "audio" / name
    folder.mkdir(parents=True, exist_ok=True)
    forget_other_words(folder, here.text)
    everyone = (*speakers(), *speakers(clear=True), NATURAL)
    people = {speaker.name: speaker for speaker in everyone}
    items = [(utt, here.text[utt], people[here.utt2spk[utt]]) for utt in here.ids]
    chunks = [items[i : i + CHUNK] for i in range(0, len(items), CHUNK)]
    seconds: list[float] = []
    with Progress(name, len(items)) as progress:
        for found in pool.map(partial(make_files, folder, natural), chunks):
            seconds += found
            progress.advance(len(found))
    if name.startswith("general"):
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


def make(
    data: Path, nj: int, sets: Collection[str] = (), natural: Path = Path("pretrained/piper-joe")
) -> None:
    """Make the audio of sets in `data`.

    Args:
        data: folder of the sets.
        nj: processes.
        sets: their names; empty: all that have speakers.
        natural: folder of the natural voice, for sets that it speaks.
    """
    espeak()  # a missing package is reported once, and not by every process
    with ProcessPoolExecutor(nj) as pool:
        for name in sorted(path.parent.name for path in data.glob("*/utt2spk")):
            if not sets or name in sets:
                speak_set(data, name, pool, natural)


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "data", "natural")
    parser.add_argument("--nj", type=int, default=2, help="processes")
    parser.add_argument("--sets", nargs="*", default=(), help="names (default: all)")
    parser.run(lambda args: make(args.data, args.nj, args.sets, args.natural))
