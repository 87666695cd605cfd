"""Model files among the files of sources: whole or cut into parts, and the files beside them."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from speechllm.convert.source import Member, ModelSource
from speechllm.errors import ConfigError, DataError

KINDS = {"model.bin": "ctranslate2", ".gguf": "gguf", ".onnx": "piper"}
"""Endings of the files that hold weights, and the format of each."""

PART = re.compile(
    r"(?P<whole>(?:model\.bin|.+\.gguf|.+\.onnx))"
    r"(?:[._-]?(?:part)?[._-]?(?:(?P<number>\d{1,5})|(?P<letters>[a-y][a-z])))?",
    re.IGNORECASE,
)
"""Name of a model file or of a part: model.bin.part1, model.gguf.001, model.bin.aa (by `split`)."""
ALL_PARTS = "name the files, folders or packages of all parts"

SHARD = re.compile(r".+-\d{5}-of-\d{5}\.gguf", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """Files of a model.

    Attributes:
        kind: a value of `KINDS`.
        name: name of the whole file.
        parts: the file, or its parts in order.
        beside: files in the same folders, by name.
    """

    kind: str
    name: str
    parts: list[Member]
    beside: dict[str, Member]

    @property
    def place(self) -> str:
        """Name of the model in messages."""
        return ", ".join(part.place for part in self.parts)


def find_model(sources: Sequence[ModelSource]) -> Found:
    """Find the one model that all sources hold together.

    Raises:
        ConfigError: there is none or more than one, a part was not named, or the file is a shard
            of llama.cpp.
        DataError: a part is missing.
    """
    groups: defaultdict[str, list[tuple[int | None, Member]]] = defaultdict(list)
    members = [member for source in sources for member in source.members]
    weights = _weights(members)
    for whole, number, member in weights:
        if member.is_wanted:
            groups[whole].append((number, member))
    if not groups:
        raise _none([source.given for source in sources], members)
    files = [member.name for group in groups.values() for _, member in group]
    name, group = next(iter(groups.items()))
    if shards := [base for base in groups if SHARD.fullmatch(base)]:
        raise ConfigError(
            f"{sorted(shards)[0]} is one of the files that llama.cpp splits a model into",
            "make them one: llama-gguf-split --merge FIRST.gguf WHOLE.gguf",
        )
    if len(groups) > 1 or len({part for part, _ in group}) < len(group):
        raise ConfigError(
            f"there are several models: {', '.join(sorted(files)[:5])}",
            "name the file of one, or all parts of one",
        )
    parts = _in_order(name, dict(group))
    if None not in dict(group):
        named = {member.path.resolve() for member in parts if member.path}
        for whole, number, member in weights:
            is_part = whole == name and number is not None
            if is_part and not member.is_wanted and member.path.resolve() not in named:
                raise ConfigError(f"{member.place} was not named, a part of {name}", ALL_PARTS)
    kind = next(kind for ending, kind in KINDS.items() if name.lower().endswith(ending))
    folders = {member.place[: -len(member.base)] for member in parts}
    beside: dict[str, Member] = {}
    for member in members:
        if member not in parts and member.place[: -len(member.base)] in folders:
            beside.setdefault(member.base, member)
    return Found(kind, name, parts, beside)


def _weights(members: Sequence[Member]) -> list[tuple[str, int | None, Member]]:
    """Files with weights, as (name of the whole, number of the part or None if whole, file)."""
    matches = [(match, member) for member in members if (match := PART.fullmatch(member.base))]
    # `split` counts aa ... az, ba ...; without az or ba, other letters are no part (model.bin.gz).
    ends = ("az", "ba")
    long = {match["whole"] for match, _ in matches if (match["letters"] or "").lower() in ends}
    found = []
    for match, member in matches:
        number = int(match["number"]) if match["number"] else None
        if match["letters"]:
            first, second = (ord(letter) - ord("a") for letter in match["letters"].lower())
            if first and match["whole"] not in long:
                continue
            number = 26 * first + second + 1
        found.append((match["whole"], number, member))
    return found


def _none(given: list[str], members: list[Member]) -> ConfigError:
    where = ", ".join(given)
    if any(member.base.endswith(".safetensors") for member in members):
        return ConfigError(
            f"{where}: is a folder of safetensors, which needs no import",
            "name it as it is, as model.encoder or model.llm",
        )
    return ConfigError(
        f"{where}: holds no model that can be imported",
        "name a CTranslate2 model (model.bin), a GGUF file (*.gguf) or a Piper voice (*.onnx): "
        "the file, its folder, its wheel (.whl), or an installed package",
    )


def _in_order(name: str, parts: dict[int | None, Member]) -> list[Member]:
    """Parts in order; a gap is an error. A missing last part is found when the file is read."""
    if None in parts and len(parts) > 1:
        raise ConfigError(f"there are both {name} and parts of it", "name the one or the others")
    if None in parts:
        return [parts[None]]
    for number in range(min(1, *parts) if len(parts) > 1 else 1, max(parts) + 1):
        if number not in parts:
            there = ", ".join(member.base for member in parts.values())
            message = f"part {number} of {name} is missing; there are {there}"
            raise DataError(message, remedy=ALL_PARTS)
    return [parts[number] for number in sorted(parts)]
