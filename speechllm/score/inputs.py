"""Inputs of a score: reference and hypotheses, tables beside the reference, training text.

<reference>            utterance words ...
entities, biasing, bias_words, utt2spk      beside it; each is optional
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from speechllm.data.dirs.bias_lists import BIAS_WORDS, BIASING, BiasLists, read_bias_lists
from speechllm.data.dirs.characters import LOST, unseen
from speechllm.data.dirs.kaldi import first_ids, parse_entities, parsed_table, read_table
from speechllm.errors import DataError, shell_word
from speechllm.score.chance.bootstrap import LEVEL
from speechllm.score.normalize.normalize import normalizer
from speechllm.score.normalize.rules import Normalizer
from speechllm.score.trn import refuse_trn
from speechllm.version import __version__

log = logging.getLogger(__name__)

FEW_SPEAKERS = 10  # below this a bootstrap over speakers is itself unreliable
ENTITIES, UTT2SPK = "entities", "utt2spk"


@dataclass(frozen=True)
class Settings:
    """Settings of a score.

    Attributes:
        normalizers: names, or rules files; every metric is given once for each.
        resamples: number of bootstrap resamples for each interval.
        seed: seed of the bootstrap.
        by_speaker: resample speakers instead of utterances; needs `utt2spk` beside the reference.
        train_text: text files that the recogniser was trained on; without them there are no metrics
            of unseen and rare words.
        trn: also write both sides in the format of NIST's sclite.
    """

    normalizers: tuple[str, ...] = ("plain", "english")
    resamples: int = 1000
    seed: int = 0
    by_speaker: bool = False
    train_text: tuple[Path, ...] = ()
    trn: bool = False


@dataclass(frozen=True)
class ScoreInputs:
    """Tables that are scored.

    Attributes:
        references, hypotheses: utterance -> text.
        entities: utterance -> annotated entities; None if the set has none.
        biasing: the set's bias lists, may be empty.
        speakers: utterance -> speaker; None if the set has none.
    """

    references: dict[str, str]
    hypotheses: dict[str, str]
    entities: dict[str, list[dict[str, Any]]] | None
    biasing: BiasLists
    speakers: dict[str, str] | None


def made_from(reference: Path, hypothesis: Path, settings: Settings) -> dict[str, Any]:
    """Return all that a score depends on: files with their hashes, and settings.

    Args:
        reference: table of the references; further tables beside it count too.
        hypothesis: table of the hypotheses.
        settings: settings of the score.

    Raises:
        DataError: a file is missing.
    """
    beside = {name: reference.with_name(name) for name in (ENTITIES, BIASING, BIAS_WORDS, UTT2SPK)}
    if settings.by_speaker:
        fingerprint(beside[UTT2SPK])
    return {
        "reference": fingerprint(reference),
        "hypothesis": fingerprint(hypothesis),
        **{name: fingerprint(path) if path.is_file() else None for name, path in beside.items()},
        "train_text": [fingerprint(path) for path in settings.train_text],
        "normalizers": {
            found.name: [rule.says for rule in found.rules]
            for found in map(normalizer, settings.normalizers)
        },
        "bootstrap": {
            "unit": "speaker" if settings.by_speaker else "utterance",
            "resamples": settings.resamples,
            "seed": settings.seed,
            "level": LEVEL,
        },
        "trn": settings.trn,
        "speechllm": __version__,
    }


def read_inputs(reference: Path, hypothesis: Path) -> ScoreInputs:
    """Read references, hypotheses and the tables beside the references.

    Raises:
        DataError: the reference is empty; or a table is malformed (names the line), is about
            utterances that the reference lacks, or lacks an utterance's speaker.
    """
    refuse_trn(reference, ())
    references = read_table(reference, strict=False)
    entities = speakers = None
    if (path := reference.with_name(ENTITIES)).is_file():
        entities = parsed_table(path, parse_entities)
        if unknown := sorted(entities.keys() - references.keys()):
            message = f"entities of utterances that {reference.name} lacks: {first_ids(unknown)}"
            of_set = reference.name == "text"
            remedy = (
                f"speechllm data fix {shell_word(path.parent)}" if of_set else "delete these lines"
            )
            raise DataError(message, path, remedy=remedy)
    if (path := reference.with_name(UTT2SPK)).is_file():
        speakers = dict(zip(sorted(references), speaker_of_each(references, path), strict=True))
    biasing = read_bias_lists(reference.parent, references)
    refuse_trn(hypothesis, references)
    hypotheses = read_table(hypothesis, strict=False)
    refuse_strangers(reference, references, hypothesis, hypotheses)
    warn_of_unseen({reference: references, hypothesis: hypotheses})
    return ScoreInputs(references, hypotheses, entities, biasing, speakers)


def refuse_strangers(
    reference: Path,
    references: Mapping[str, str],
    hypothesis: Path,
    hypotheses: Mapping[str, str],
) -> None:
    """Refuse what cannot be scored.

    Args:
        reference: file of the references.
        references: utterance id -> reference text.
        hypothesis: file of the hypotheses.
        hypotheses: utterance id -> hypothesis text.

    Raises:
        DataError: there are no references, or ids of hypotheses have no reference.
    """
    remedy = "score against the text of the set that was decoded"
    if not references:
        raise DataError("there are no references to score against", reference, remedy=remedy)
    if unknown := sorted(hypotheses.keys() - references.keys()):
        message = f"hypotheses have ids that no reference has: {first_ids(unknown)}"
        raise DataError(message, hypothesis, remedy=remedy)


def warn_of_unseen(tables: Mapping[Path, Mapping[str, str]]) -> None:
    """Log which texts hold invisible characters, which make equal-looking words differ."""
    for path, texts in tables.items():
        named = []
        for utt, words in texts.items():
            for odd in unseen(words):
                # Blanks of any kind part words for every normaliser; U+FFFD is visible.
                if not (odd.character.isspace() or odd.character == LOST):
                    named.append(f"{utt} ({odd})")
                    break
        if named:
            what = "characters that nobody sees, so that equal words differ"
            log.warning("%s: %s: %s", path, what, first_ids(named))


def fingerprint(path: Path) -> dict[str, str]:
    """Path and hash of a file.

    Raises:
        DataError: there is no such file.
    """
    if not path.is_file():
        raise DataError("no such file", path)
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def speaker_of_each(references: Mapping[str, str], utt2spk: Path) -> list[str]:
    """Return the speakers of the references, in the order of their sorted ids.

    Raises:
        DataError: an utterance has no speaker.
    """
    speakers = read_table(utt2spk, strict=False)
    ids = sorted(references)
    if orphans := [i for i in ids if i not in speakers]:
        raise DataError(f"utterances have no speaker: {first_ids(orphans)}", utt2spk)
    return [speakers[i] for i in ids]


def warn_of_few_speakers(speakers: Sequence[str], reference: Path) -> None:
    """Log a warning if there are so few speakers that an interval over them is rough."""
    if (count := len(set(speakers))) < FEW_SPEAKERS:
        path = reference.with_name(UTT2SPK)
        log.warning("%s: only %d speakers; an interval over them is rough", path, count)


def word_frequencies(train_text: Sequence[Path], normalize: Normalizer) -> Counter[str]:
    """Count the words of the training text. A file's counts are kept for the sets that follow.

    Raises:
        DataError: a file is missing or malformed.
    """
    total: Counter[str] = Counter()
    for path in train_text:
        total.update(_file_frequencies(path, fingerprint(path)["sha256"], normalize))
    return total


@lru_cache(maxsize=32)
def _file_frequencies(path: Path, digest: str, normalize: Normalizer) -> Counter[str]:
    return Counter(
        word for line in read_table(path, strict=False).values() for word in normalize(line).split()
    )
