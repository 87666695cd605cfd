"""Test sets and the systems that decoded them. A system is a model under one decode config."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechllm.report.tree import BaseRuns, Decoding, Model

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
TAKEN = ("index",)  # slugs of pages that are not test sets


@dataclass(frozen=True)
class System:
    """Decoding of a set by a model, as chosen and compared on the set's page.

    Attributes:
        key: its name in links, `<model folder>@<decode tag>`; does not change when systems are
            added.
        label: the shortest name that tells it from the others of its set.
    """

    key: str
    label: str
    model: Model
    decoding: Decoding


@dataclass(frozen=True)
class TestSet:
    """Test set and the systems that decoded it.

    Attributes:
        name: its name in the recipe; may be any text.
        slug: its name in file names and links.
        systems: its systems, bases first.
    """

    __test__ = False  # for pytest, which would collect it by its name

    name: str
    slug: str
    systems: list[System]


def find_test_sets(
    exp: Path, families: Iterable[BaseRuns], tag: str | None = None
) -> list[TestSet]:
    """Gather every set that was decoded, in the order of their names.

    Args:
        exp: exp folder; keys of systems are relative to it.
        families: bases and their models.
        tag: tag of the main decoding, a model's first; see `BaseRuns.main_tag`.
    """
    found: dict[str, list[tuple[Model, Decoding]]] = {}
    seen: set[Path] = set()
    for family in families:
        main = family.main_tag(tag)
        for model in family.models:
            if model.folder in seen:  # a reference is part of every family
                continue
            seen.add(model.folder)
            for decoding in sorted(model.decodings.values(), key=lambda d: (d.tag != main, d.tag)):
                found.setdefault(decoding.set, []).append((model, decoding))
    slugs: set[str] = set(TAKEN)
    sets = []
    for number, name in enumerate(sorted(found), 1):
        slug = name if _PLAIN_NAME.fullmatch(name) and len(name) < 100 else f"set-{number}"
        while slug.casefold() in slugs:  # some file systems do not tell a from A
            slug += "-set"
        slugs.add(slug.casefold())
        pairs = found[name]
        labels = _labels(exp, pairs)
        sets.append(
            TestSet(
                name,
                slug,
                [
                    System(f"{_inside(exp, model)}@{decoding.tag}", label, model, decoding)
                    for (model, decoding), label in zip(pairs, labels, strict=True)
                ],
            )
        )
    return sets


def _inside(exp: Path, model: Model) -> str:
    return model.folder.relative_to(exp).as_posix()


def _labels(exp: Path, pairs: Sequence[tuple[Model, Decoding]]) -> list[str]:
    """Labels: stem of the config, else folder, else path; with the tag if there are several."""
    models = {model.folder: model for model, _ in pairs}
    for name in (lambda m: m.name, lambda m: m.folder.name, lambda m: _inside(exp, m)):
        names = {folder: name(model) for folder, model in models.items()}
        if max(Counter(names.values()).values()) == 1:
            break
    tags = {decoding.tag for _, decoding in pairs}
    return [
        names[model.folder] + (f" · {decoding.tag}" if len(tags) > 1 else "")
        for model, decoding in pairs
    ]
