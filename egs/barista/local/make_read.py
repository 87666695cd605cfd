"""Real read speech beside the synthetic source: LibriSpeech, at some speeds (Ko et al. 2015).

Its meaning is its words, dictated; espeak-ng says its phones.
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import soxr
from make_source import dictated

from speechllm.corpora.librispeech import read_split
from speechllm.corpora.reading.utterances import Utterance, write_set
from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.data.dirs.ids import speed_prefix
from speechllm.data.dirs.kaldi import Audio, read_table, write_table
from speechllm.data.speech.audio import SAMPLE_RATE, load_audio, write_audio
from speechllm.data.speech.synthesis.tts import espeak
from speechllm.files.progress import track


def copy(utterance: Utterance, speed: float, folder: Path) -> Utterance:
    """Write it `speed` times as fast, and so higher in pitch."""
    utt = speed_prefix(speed) + utterance.id
    path = folder / f"{utt}.flac"
    samples = soxr.resample(
        load_audio(utterance.audio, SAMPLE_RATE), SAMPLE_RATE * speed, SAMPLE_RATE
    )
    write_audio(path, samples, SAMPLE_RATE)
    words = utterance.text.lower()
    speaker = speed_prefix(speed) + utterance.speaker
    return Utterance(utt, words, Audio(str(path)), speaker, dictated(words))


def main(args: argparse.Namespace) -> None:
    found = read_split(args.librispeech_root, args.split)
    found = found[:: max(1, len(found) // args.utterances)][: args.utterances]
    items = [(utterance, speed, args.out / "wav") for utterance in found for speed in args.speeds]
    wanted = {speed_prefix(speed) + utterance.id for utterance, speed, _ in items}
    phones = args.out / "phones"  # which are written last
    if phones.is_file() and read_table(phones).keys() == wanted:
        return
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        made = track(pool.map(lambda item: copy(*item), items), args.out.name, len(items))
        made = list(made)
    write_set(args.out, made)
    write_table(args.out / "phones", {u.id: " ".join(espeak().phones(u.text)) for u in made})


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "librispeech_root", "out")
    parser.add_argument("--split", required=True)
    parser.add_argument("--utterances", type=int, required=True, help="at most so many")
    parser.add_argument("--speeds", type=float, nargs="+", required=True)
    parser.run(main)
