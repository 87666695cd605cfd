"""Sentences with entities in brackets, as in MASSIVE: `wake me at [time : seven am]`."""

import re
from typing import NamedTuple

MARK = re.compile(r"\[\s*(?P<type>[^\[\]:\s]+)\s*:\s*(?P<filler>[^\[\]]*?)\s*\]")


class Annotated(NamedTuple):
    """Sentence without brackets, and its entities in order."""

    text: str
    entities: list[dict[str, str]]


def read_annotated(sentence: str) -> Annotated:
    """Take a sentence's entities out of their brackets.

    Raises:
        ValueError: a bracket that is not `[type : words]`.
    """
    entities = [
        {"type": mark["type"], "filler": " ".join(mark["filler"].split())}
        for mark in MARK.finditer(sentence)
    ]
    text = " ".join(MARK.sub(lambda mark: mark["filler"], sentence).split())
    if "[" in text or "]" in text or not all(e["filler"] for e in entities):
        raise ValueError(f"not `[type : words]`: {sentence}")
    return Annotated(text, entities)
