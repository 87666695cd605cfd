"""Data dirs of barista: real recordings with their meaning, and sentences of the domain."""

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

from speechllm.corpora.barista import read_grammar, read_recordings
from speechllm.corpora.reading.rhino import RhinoGrammar
from speechllm.corpora.reading.utterances import Utterance, write_set
from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech.audio import SAMPLE_RATE, load_audio
from speechllm.data.speech.segmentation import around_speech
from speechllm.files.progress import track
from speechllm.slot.mixture import subset

DEV = 0.2  # of the training recordings; the benchmark has no dev set


def spoken_part(utterance: Utterance) -> Utterance:
    """Leave out the silence around the speech, of which there is more than speech.

    An encoder that normalises each recording would take it for the greater part of the signal.
    """
    start, end = around_speech(load_audio(utterance.audio, SAMPLE_RATE))
    cut = (utterance.audio.source, start / SAMPLE_RATE, end / SAMPLE_RATE)
    return utterance._replace(audio=Audio(*cut, recording=utterance.id))


def new_sentences(grammar: RhinoGrammar, known: set[str]) -> Iterator[Utterance]:
    """Yield ever new sentences of the grammar; `known` grows."""
    rng = random.Random("barista")
    while True:
        sentence = grammar.sentence(rng)
        if sentence.text not in known:
            known.add(sentence.text)
            yield sentence._replace(id=f"grammar-{len(known):05d}")


def sentences(root: Path, count: int) -> list[Utterance]:
    """The sentences of corpus.txt, each once, and so many more that there are `count`."""
    grammar = read_grammar(root)
    found = {u.text: u for u in reversed(list(grammar.read_corpus(root / "corpus.txt")))}
    more = new_sentences(grammar, set(found))
    listed = sorted(found.values(), key=lambda u: u.id)[:count]
    return listed + [next(more) for _ in range(count - len(listed))]


def main(args: argparse.Namespace) -> None:
    recordings = read_recordings(args.barista_root, "train")
    tests = read_recordings(args.barista_root, "test")
    dev = set(subset([u.id for u in recordings], DEV, seed=0))
    parts = {
        "train": [u for u in recordings if u.id not in dev],
        "dev": [u for u in recordings if u.id in dev],
        "test": tests,
    }
    for part, utterances in parts.items():
        found = track(utterances, f"speech of barista_{part}", len(utterances))
        write_set(args.data / f"barista_{part}", [spoken_part(u) for u in found], args.limit)
    write_set(args.data / "barista_text", sentences(args.barista_root, args.sentences))


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "barista_root", "data")
    parser.add_argument("--sentences", type=int, required=True, help="of the text")
    parser.add_argument("--limit", type=int, default=0, help="at most so many recordings of each")
    parser.run(main)
