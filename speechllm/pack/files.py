"""Files that go to the hub and come from it, by pattern; no programs and no pickles."""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from speechllm.files.layout import DESCRIPTION, TENSORS
from speechllm.files.made_from import SUMS
from speechllm.pack.manifest import BASE, MANIFEST, TRAINING
from speechllm.pack.pretrained import CARRIED, LICENCES

CARD = "README.md"


def _any_case(pattern: str) -> str:
    return re.sub("[a-z]", lambda letter: f"[{letter[0]}{letter[0].upper()}]", pattern)


MODEL = (CARD, *(f"*{ending}" for ending in sorted(CARRIED)), *map(_any_case, LICENCES))
"""Files of a model or an adapter for other tools."""
PACKED = (
    *(MANIFEST, CARD, SUMS),
    *(f"{at}/{name}" for at in (BASE, "domains/*") for name in (DESCRIPTION, TENSORS, TRAINING)),
    *(f"pretrained/*/{pattern}" for pattern in MODEL),
)
"""Files of a packed model."""


def matching(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Names that match a pattern; unlike the hub's client, no `*` stands for several folders."""
    return [
        name
        for name in names
        if any(fnmatchcase(name, p) and name.count("/") == p.count("/") for p in patterns)
    ]


def files_below(folder: Path) -> list[str]:
    """Paths of all files below a folder, relative to it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)
