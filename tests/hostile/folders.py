"""Hostile folders: of the valid files of a kind, one or more are damaged, gone, or no files."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from tests.hostile.damage import WORD, as_bytes, damaged, hostile_words

OUTSIDE = "outside"
"""A folder beside that in which a case happens."""
TARGETS = [".", "missing", f"{OUTSIDE}/secret"]
"""Where links lead to, relative to the folder above that of the case; "." makes a circle."""


@dataclass(frozen=True)
class Link:
    """A symbolic link, in the place of a file."""

    target: str


@dataclass(frozen=True)
class Folder:
    """A folder, in the place of a file."""


@dataclass(frozen=True)
class Gone:
    """No file where one belongs."""


Content = bytes | Link | Folder | Gone


@st.composite
def damaged_files(draw: st.DrawFn, files: Mapping[str, bytes]) -> dict[str, Content]:
    """What is to change of valid files, by name: contents, or what stands in their places."""
    new: dict[str, Content] = {}
    names = sorted(files)
    if draw(st.integers(0, 3)) == 0:
        new |= _renamed(draw, files)
        names = draw(st.lists(st.sampled_from(names), max_size=1)) if new else names
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=2)) if names else []:
        content = new.get(name, files[name])
        if draw(st.integers(0, 15)) == 0 or not isinstance(content, bytes):
            links = [Link(target) for target in TARGETS]
            new[name] = draw(st.sampled_from([Gone(), Folder(), *links]))
        else:
            new[name] = draw(damaged(name, content))
    return new


def put(place: Path, files: Mapping[str, Content]) -> None:
    """Write damaged files into a folder that holds the valid ones."""
    for name, content in files.items():
        path = place / name
        if isinstance(content, bytes):
            path.write_bytes(content)
            continue
        path.unlink()
        if isinstance(content, Folder):
            path.mkdir()
        elif isinstance(content, Link):
            path.symlink_to(path if content.target == "." else place.parent / content.target)


def _renamed(draw: st.DrawFn, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """One word, such as an id, becomes another one in all files, so that they still agree."""
    words = WORD.findall(files[draw(st.sampled_from(sorted(files)))])
    word = draw(st.sampled_from(sorted(set(words)) or [b"x"]))
    by = as_bytes(draw(hostile_words()))
    pattern = re.compile(rb"(?<![^\s\"'])" + re.escape(word[:99]) + rb"(?![^\s\"',])")
    changed = {name: pattern.sub(lambda _: by, content) for name, content in files.items()}
    return {name: content for name, content in changed.items() if content != files[name]}
