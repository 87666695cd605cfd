"""Last part of stage 1 of data.sh: bias lists of every target's dev and test set.

After Le et al. (2104.02194): an utterance's list holds the rare words of its reference and 100
distractors. Rare are the domain's words that do not stand in the training text of the source at
least five times; distractors are drawn from the rare words of the domain's training text.
"""

import logging
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from make_text import SEED, TARGETS

from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.data.dirs.bias_lists import BIASING, write_biasing
from speechllm.data.dirs.kaldi import read_table

log = logging.getLogger(__name__)

OFTEN = 5  # times that a word must stand in the source's training text not to be rare
DISTRACTORS = 100
KNOWN = ("general_train", "source_train")


def words_of(data: Path, names: Iterable[str]) -> Counter[str]:
    """Count the words of some sets, of those that are there."""
    paths = [path for name in names if (path := data / name / "text").is_file()]
    texts = (text for path in paths for text in read_table(path).values())
    return Counter(word for text in texts for word in text.split())


def bias_list(utt: str, transcript: str, common: set[str], rare: list[str]) -> list[str]:
    """Return the rare words of a transcript and the distractors, in alphabetical order."""
    said = set(transcript.split()) - common
    rng = random.Random(f"{SEED} bias list {utt}")
    others = [word for word in rare if word not in said]
    return sorted(said | set(rng.sample(others, min(DISTRACTORS, len(others)))))


def make(data: Path) -> None:
    """Write `biasing` into the dev and test sets of the targets, where it is not there."""
    common = {word for word, count in words_of(data, KNOWN).items() if count >= OFTEN}
    for target in TARGETS:
        rare = sorted(words_of(data, [f"{target}_train"]).keys() - common)
        for name in (f"{target}_dev", f"{target}_test", f"{target}_natural"):
            if (data / name / BIASING).exists() or not (data / name).exists():
                continue
            text = read_table(data / name / "text")
            write_biasing(data / name, {u: bias_list(u, t, common, rare) for u, t in text.items()})
            log.info("%s: bias lists; %d rare words in the domain", name, len(rare))


if __name__ == "__main__":
    RecipeParser(__doc__, "data").run(lambda args: make(args.data))
