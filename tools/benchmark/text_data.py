"""Sets of text and their hypotheses, made of words that nobody says."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

WORDS, MOST_COMMON, OF_SPEAKER = 10, 20_000, 50
"""Of an utterance; of the vocabulary; utterances of a speaker."""
WRONG, LOST, ADDED = 0.06, 0.02, 0.02
"""Of the words of a hypothesis."""
AT_ONCE = 10_000  # utterances


def make_text(folder: Path, lines: int) -> Path:
    """Make a set of so many utterances and its hypotheses, unless they are there.

    Returns:
        A folder with the data dir `set`, the table `hyp`, and `ref.trn` and `hyp.trn` for sclite.
    """
    made = folder / f"text-{lines}"
    if not (made / "done").exists():
        (made / "set").mkdir(parents=True, exist_ok=True)
        ids = [f"s{n // OF_SPEAKER:06}-{n:08}" for n in range(lines)]
        speakers = [utt.partition("-")[0] for utt in ids]
        _write(made / "set" / "utt2spk", map(" ".join, zip(ids, speakers, strict=True)))
        parts = [ids[start : start + OF_SPEAKER] for start in range(0, lines, OF_SPEAKER)]
        _write(made / "set" / "spk2utt", (f"s{n:06} {' '.join(p)}" for n, p in enumerate(parts)))
        for name, place in (("ref", 0), ("hyp", 1)):
            texts = [text[place] for text in _texts(lines)]
            table = made / "set" / "text" if name == "ref" else made / "hyp"
            _write(table, map(" ".join, zip(ids, texts, strict=True)))
            trn = (f"{text} ({utt})" for utt, text in zip(ids, texts, strict=True))
            _write(made / f"{name}.trn", trn)
        (made / "done").touch()
    return made


def _texts(lines: int) -> Iterator[tuple[str, str]]:
    """Yield each transcript and its hypothesis: words as common as in any language (Zipf)."""
    rng = np.random.default_rng(0)
    words = np.array([_word(n) for n in range(MOST_COMMON)], object)
    shares = 1 / np.arange(1, MOST_COMMON + 1)
    for start in range(0, lines, AT_ONCE):
        size = (min(AT_ONCE, lines - start), WORDS)
        said, other = words[rng.choice(MOST_COMMON, (2, *size), p=shares / shares.sum())]
        chance = rng.random(size)
        heard = np.where(chance < WRONG, other, said)
        heard[(chance >= WRONG) & (chance < WRONG + LOST)] = ""
        added = chance > 1 - ADDED
        heard[added] = heard[added] + " " + other[added]
        for reference, hypothesis in zip(said, heard, strict=True):
            yield " ".join(reference), " ".join(filter(None, hypothesis))


def _word(number: int) -> str:
    """Syllables that spell a number; common words are short."""
    rest, syllable = divmod(number, 85)
    return (
        (_word(rest - 1) if rest else "")
        + "bcdfghjklmnprstvz"[syllable % 17]
        + "aeiou"[syllable // 17]
    )


def _write(path: Path, lines: Iterable[str]) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)
