"""General synthetic speech for the stand-in encoder: letters, numbers and made-up words.

It plays the part of the speech that a pretrained encoder has heard. espeak-ng says its phones,
which are rewritten in AN4's inventory.
"""

import argparse
import random
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from general_text import PIECES, utterance

from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.data.dirs.kaldi import write_data_dir, write_table
from speechllm.data.speech.audio import write_audio
from speechllm.data.speech.synthesis.tts import SAMPLE_RATE, Voice, espeak
from speechllm.files.progress import track

ACCENTS = ("en-us", "en-us", "en-us", "en-gb")
SNR_DB = (10, 40)

ARPABET = dict(
    line.split()
    for line in """
    ə AH|ʌ AH|ɜː ER|ɪ IH|iː IY|ɛ EH|æ AE|ɑː AA|ɒ AA|ɔː AO|ʊ UH|uː UW|eɪ EY|aɪ AY|ɔɪ OY|aʊ AW|oʊ OW
    b B|d D|f F|ɡ G|h HH|j Y|k K|l L|m M|n N|ŋ NG|p P|ɹ R|s S|ʃ SH|t T|ɾ T|tʃ CH|dʒ JH|θ TH|ð DH|v V
    w W|z Z|ʒ ZH
    """.replace("|", "\n")
    .strip()
    .splitlines()
)
"""What AN4's dictionary calls espeak's phones."""


def spoken(text: str) -> str:
    """Spell the letter A so that espeak does not take it for the article."""
    return " ".join("eigh" if word == "A" else word for word in text.split())


def phones(text: str, accent: str) -> str:
    """Phones of `text` in AN4's inventory."""
    return " ".join(ARPABET[p] for p in espeak().phones(text, accent)).replace("AH R", "ER")


def make(item: tuple[str, str, Path]) -> tuple[str, float]:
    """Say one utterance in a voice, and with noise, that its id decides about."""
    utt, text, path = item
    text = spoken(text)
    rng = random.Random(utt)
    accent = rng.choice(ACCENTS)
    variants = [v for v in espeak().variants() if "whisper" not in v and "croak" not in v]
    voice = Voice(accent, rng.choice(variants), rng.randint(110, 190), rng.randint(30, 70))
    samples = espeak().synthesise(text, voice)
    noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(len(samples))
    samples = samples + noise * np.sqrt(np.mean(samples**2)) * 10 ** (-rng.uniform(*SNR_DB) / 20)
    samples *= 0.5 / np.abs(samples).max()
    write_audio(path, samples, SAMPLE_RATE)
    return phones(text, accent), len(samples) / SAMPLE_RATE


def main(args: argparse.Namespace) -> None:
    rng = random.Random(args.kind)
    text = {f"{args.kind}-{i:05d}": utterance(args.kind, rng) for i in range(args.utterances)}
    (args.out / "wav").mkdir(parents=True, exist_ok=True)
    wav = {utt: args.out / "wav" / f"{utt}.flac" for utt in text}
    items = [(utt, text[utt], wav[utt]) for utt in text]
    with ProcessPoolExecutor() as pool:
        made = list(track(pool.map(make, items, chunksize=32), args.out.name, len(items)))
    write_data_dir(
        args.out,
        text={utt: words.upper() for utt, words in text.items()},
        wav={utt: str(path) for utt, path in wav.items()},
        utt2dur={utt: seconds for utt, (_, seconds) in zip(text, made, strict=True)},
    )
    write_table(args.out / "phones", {u: p for u, (p, _) in zip(text, made, strict=True)})


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "out")
    parser.add_argument("--kind", choices=PIECES, required=True)
    parser.add_argument("--utterances", type=int, required=True)
    parser.run(main)
