"""Both sides of a score in the format of NIST's sclite: `words ... (speaker-utterance)`.

    sctk sclite -r ref.plain.trn trn -h hyp.plain.trn trn -i rm -s -e utf-8 -o sum stdout

sclite takes the part of an id before the first "-" as the speaker. A few words have a meaning for
sclite and cannot be quoted; they are refused.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from speechllm.data.dirs.kaldi import first_ids
from speechllm.errors import DataError, SpeechLLMError, shell_word
from speechllm.files.utf8 import read_text
from speechllm.score.count.wer import WordScore

_END = re.compile(r"\(([^\s()]+)\)\s*$")


def trn_lines(score: WordScore, side: str, speakers: Mapping[str, str] | None = None) -> list[str]:
    """Return a line for each utterance, sorted by id; a missing hypothesis is an empty one.

    Args:
        score: word score of the set; its texts are normalised.
        side: "ref" or "hyp".
        speakers: utterance -> speaker; None makes each utterance its own.

    Raises:
        SpeechLLMError: a text holds words that sclite would take for its own marks.
    """
    column = ("ref", "hyp").index(side)
    lines, odd = [], []
    for utterance in score.utterances:
        words = [word for pair in utterance.pairs if (word := pair[column]) is not None]
        odd += [f"{word} in {utterance.id}" for word in _marks(words)]
        speaker = re.sub("[-()]", "_", speakers[utterance.id] if speakers else utterance.id)
        lines.append(" ".join([*words, f"({speaker}-{utterance.id})"]))
    if odd:
        raise SpeechLLMError(
            f"{side}: words that mean something to sclite: {first_ids(odd)}",
            "score without --trn, or with a normaliser that removes these marks",
        )
    return lines


def _marks(words: Sequence[str]) -> list[str]:
    """Words that sclite misreads: { begins alternatives, @ is no word, ;; and ** are comments.

    The marks were found by trying them.
    """
    found = [word for word in words if "{" in word or word == "@"]
    return found + [word for word in words[:1] if word.startswith((";;", "**"))]


def refuse_trn(path: Path, ids: Collection[str]) -> None:
    """Raise DataError for a file in sclite's format where a table is wanted.

    Args:
        path: a text file.
        ids: ids of the utterances that are scored. If empty (not known yet), a file is taken as
            sclite's if all its lines end like sclite's, with a speaker.
    """
    ends = []
    for line in filter(str.strip, read_text(path).split("\n")):
        if not (match := _END.search(line)):
            return
        ends.append(match[1])
    if not ends or len(set(ends)) < len(ends):
        return
    if (ids and any(end in ids for end in ends)) or (not ids and all("-" in end for end in ends)):
        new = shell_word(path.with_suffix(".text"))
        sed = r"sed -E 's/^(.*[^ ])? *\(([^()]+)\)[[:space:]]*$/\2 \1/'"
        remedy = f"make a table of it: {sed} {shell_word(path)} > {new}"
        raise DataError("is sclite's trn, and no lines `utterance words ...`", path, remedy=remedy)
