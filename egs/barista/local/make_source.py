"""Synthetic speech of the source: orders in other shops, and dictation of words in no order.

A projector has to hear how the LLM's tokens sound: dictation is of those that are words, each said
equally often (--vocabulary). For the stand-ins it is of everyday and made-up words.

Each file is a function of its utterance's id and text, so that any number of processes makes the
same ones, and what is there is kept. espeak-ng says the phones, from which the stand-in encoder
learns.
"""

import argparse
import random
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from words import dictation, dictations_of, words_of

from speechllm.corpora.reading.rhino import RhinoGrammar
from speechllm.corpora.reading.utterances import Utterance, write_set
from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.data.dirs.kaldi import Audio, DataDir, write_table
from speechllm.data.speech.audio import write_audio
from speechllm.data.speech.synthesis.reverb import made_response, reverberate
from speechllm.data.speech.synthesis.tts import SAMPLE_RATE, Voice, espeak
from speechllm.files.progress import track

ACCENTS = ("en-us", "en-us", "en-us", "en-gb", "en-gb-scotland", "en-us-nyc")
SNR_DB = (8, 35)
RT60 = (0.1, 0.5)


def dictated(words: str) -> dict[str, object]:
    """What dictation means: all of its words."""
    entities = [{"type": "words", "filler": words}]
    return {"scenario": "dictation", "action": "write", "entities": entities}


def make_file(item: tuple[Path, str, str]) -> str:
    """Make one FLAC file, unless it is there; return its phones."""
    path, utt, text = item
    rng = random.Random(utt)
    accent = rng.choice(ACCENTS)
    variants = [v for v in espeak().variants() if "whisper" not in v and "croak" not in v]
    voice = Voice(accent, rng.choice(variants), rng.randint(105, 200), rng.randint(25, 75))
    noise = np.random.default_rng(rng.getrandbits(32))
    if not path.is_file():
        samples = espeak().synthesise(text, voice)
        if rng.random() < 0.6:
            samples = reverberate(samples, made_response(rng.uniform(*RT60), noise))
        loud = np.sqrt(np.mean(samples**2)) * 10 ** (-rng.uniform(*SNR_DB) / 20)
        tilt = np.cumsum(noise.standard_normal(len(samples))) * (rng.random() < 0.5) / 50
        samples = samples + loud * (noise.standard_normal(len(samples)) + tilt - tilt.mean())
        samples *= rng.uniform(0.05, 0.6) / np.abs(samples).max()
        write_audio(path, samples, SAMPLE_RATE)
    return " ".join(espeak().phones(text, accent))


def make_set(folder: Path, utterances: list[Utterance]) -> None:
    """Speak a set, unless its phones, which are written last, are there, and it says the same."""
    said = {u.id: u.text for u in utterances}
    if (folder / "phones").is_file() and DataDir.load(folder).text == said:
        return
    (folder / "phones").unlink(missing_ok=True)
    items = [(folder / "wav" / f"{_name(u)}.flac", u.id, u.text) for u in utterances]
    with ProcessPoolExecutor() as pool:
        made = track(pool.map(make_file, items, chunksize=32), folder.name, len(items))
        phones = dict(zip((u.id for u in utterances), made, strict=True))
    spoken = [
        u._replace(audio=Audio(str(path))) for u, (path, *_) in zip(utterances, items, strict=True)
    ]
    write_set(folder, spoken)
    write_table(folder / "phones", phones)


def _name(utterance: Utterance) -> str:
    """Of its file: other words are another file."""
    return f"{utterance.id}-{zlib.crc32(utterance.text.encode()):08x}"


def draw(
    name: str, sizes: dict[str, int], sentence: Callable[[random.Random], Utterance]
) -> dict[str, list[Utterance]]:
    """Different sentences for each part."""
    rng, known = random.Random(name), set()
    parts: dict[str, list[Utterance]] = {}
    for part, size in sizes.items():
        parts[part] = []
        while len(parts[part]) < size:
            found = sentence(rng)
            if found.text not in known:
                known.add(found.text)
                parts[part].append(found._replace(id=f"{name}-{part}-{len(parts[part]):05d}"))
    return parts


def dictation_set(count: int, vocabulary: Path | None) -> list[Utterance]:
    """Dictations of everyday words, or of an LLM's."""
    rng = random.Random("dictation")
    if vocabulary:
        words, texts = words_of(vocabulary), []
        while words and len(texts) < count:  # all words again, beside others and in other voices
            texts += dictations_of(words, rng)
    else:
        texts = list(dict.fromkeys(dictation(rng) for _ in range(count)))
    return [
        Utterance(f"dictation-train-{i:05d}", text, semantics=dictated(text))
        for i, text in enumerate(texts[:count])
    ]


def main(args: argparse.Namespace) -> None:
    grammar = RhinoGrammar(Path(__file__).with_name("shop.yaml"), "shop")

    espeak()  # a missing package is reported once, and not by every process
    sizes = {"train": args.shop, "dev": args.dev, "test": args.test}
    for part, utterances in draw("shop", sizes, grammar.sentence).items():
        make_set(args.data / f"shop_{part}", utterances)
    make_set(args.data / "words_train", dictation_set(args.dictation, args.vocabulary))


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "data")
    for name in ("dictation", "shop", "dev", "test"):
        parser.add_argument(f"--{name}", type=int, required=True, help="utterances")
    parser.add_argument("--vocabulary", type=Path, help="folder of an LLM whose words are dictated")
    parser.run(main)
