"""Stage 1 of data.sh: the sentences of all sets, from the grammars, and who speaks them."""

import json
import logging
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from grammar import Grammar, Sentence
from meaning import meaning
from voices import speakers_of

from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.data.dirs.kaldi import write_data_dir, write_table
from speechllm.errors import SpeechLLMError
from speechllm.files.own import read_json
from speechllm.files.whole import sha256_of, write_json

log = logging.getLogger(__name__)

GRAMMARS = Path(__file__).parent / "grammars"
TARGETS = ("agriculture", "music", "medical")
WORDS = range(3, 15)  # of an utterance
SEED = 1
SIZES = ("general", "general_dev", "general_text", "source", "target", "dev", "test", "natural")


def sentences(grammar: str, seen: set[str], clear: bool) -> Iterator[Sentence]:
    """Yield ever new sentences of the right length; `seen` grows.

    The clear voices are for an encoder that has heard people: it needs no made-up words, to hear
    each sequence of sounds, but rather all words a little more often.
    """
    source = Grammar(GRAMMARS / f"{grammar}.txt", f"{SEED} {grammar}")
    while True:
        sentence = source.sentence()
        if clear and "made_up" in sentence.rules:
            continue
        if sentence.text not in seen and len(sentence.text.split()) in WORDS:
            seen.add(sentence.text)
            yield sentence


def write_set(data: Path, name: str, found: list[Sentence], clear: bool) -> None:
    """Deal the sentences out to the speakers; write text, utt2spk, spk2utt, entities, semantics."""
    deck = list(found)
    random.Random(f"{SEED} {name}").shuffle(deck)
    voices = speakers_of(name.rpartition("_")[2], clear)
    rows = {
        f"{voices[i % len(voices)].name}-{name}-{i:05d}": sentence
        for i, sentence in enumerate(deck)
    }
    write_data_dir(
        data / name,
        text={utt: sentence.text for utt, sentence in rows.items()},
        utt2spk={utt: utt.split("-")[0] for utt in rows},
        entities={utt: sentence.entities for utt, sentence in rows.items() if sentence.entities},
    )
    domain = name.rpartition("_")[0]
    meant = {utt: meaning(domain, sentence) for utt, sentence in rows.items()}
    write_table(data / name / "semantics", {utt: json.dumps(m) for utt, m in meant.items()})
    log.info("%s: %d utterances", name, len(rows))


def make(data: Path, sizes: dict[str, int], clear: bool = False) -> None:
    """Write all sets into `data`, unless they are there.

    Args:
        sizes: utterances of `general` (training), `general_dev`, `general_text` (sentences for the
            LLM), `source` and `target` (training, of each), `dev` and `test` (of each domain),
            `natural` (of each target, spoken by the natural voice). Sets of size 0 are not made.
        clear: the clear voices speak, and no word is made up.

    Raises:
        SpeechLLMError: the sets in `data` were made with other sizes or grammars.
    """
    made_of = {"sizes": sizes, "seed": SEED, "grammars": sha256_of(GRAMMARS.glob("*.txt"))}
    made_of["clear"] = clear
    done = data / "made_of.json"
    if done.exists() and read_json(done) != made_of:
        raise SpeechLLMError(
            f"the sets in {data} were made with other sizes or grammars",
            f"rm -r {data}, or choose another --work",
        )
    domains = ("source", *TARGETS)
    parts = {"dev": sizes["dev"], "test": sizes["test"]}
    of_target = {"train": sizes["target"], **parts, "natural": sizes["natural"]}
    wanted = {domain: of_target for domain in domains}
    wanted["source"] = {"train": sizes["source"], **parts}
    wanted["general"] = {
        "train": sizes["general"],
        "dev": sizes["general_dev"],
        "text": sizes["general_text"],
    }
    wanted = {
        domain: {part: size for part, size in of_parts.items() if size}
        for domain, of_parts in wanted.items()
    }
    names = [f"{domain}_{part}" for domain, of_parts in wanted.items() for part in of_parts]
    if done.exists() and all((data / name / "text").exists() for name in names):
        log.info("text is made already")
        return

    seen: set[str] = set()
    for domain, of_parts in wanted.items():
        stream = sentences(domain, seen, clear)
        for part, size in of_parts.items():
            found = list(islice(stream, size))
            if part != "text":
                write_set(data, f"{domain}_{part}", found, clear)
                continue
            text = {f"text-{i:06d}": sentence.text for i, sentence in enumerate(found)}
            write_table(data / f"{domain}_text" / "text", text)
            log.info("%s_text: %d sentences", domain, len(text))
    write_json(done, made_of)


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "data")
    for name in SIZES:
        parser.add_argument(f"--{name}", type=int, default=0, help="utterances (%(default)s)")
    parser.add_argument("--clear", action="store_true", help="let the clear voices speak")
    parser.run(lambda args: make(args.data, {n: getattr(args, n) for n in SIZES}, args.clear))
