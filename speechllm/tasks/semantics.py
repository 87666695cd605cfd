"""Meaning of an utterance: in the table `semantics`, and in the LLM's answers.

    {"scenario": "alarm", "action": "set", "entities": [{"type": "time", "filler": "seven am"}]}

The table may have entities in any order, and any blanks. An answer has one form, so that there is
one thing to learn: keys as above, entities in the order of their fillers in the transcript, single
blanks.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from speechllm.files.strict_json import load_json

LABELS = ("scenario", "action", "type")
"""Kinds of labels in semantics."""
KEYS = {"scenario", "action", "entities"}
FILLER = r'"([^\s"\\\x00-\x1f]|\\["\\/])([^"\\\x00-\x1f]|\\["\\/bfnrt])*"'
"""Regular expression of a JSON string that does not begin with a blank."""
ENTITY_KEYS = {"type", "filler"}


def parse_semantics(value: str) -> dict[str, Any]:
    """Read a line of the table `semantics`.

    Raises:
        ValueError: it is no JSON, or has unknown or missing keys or empty values; says which.
    """
    try:
        found = load_json(value)
    except ValueError as error:
        raise ValueError(f"no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    _check_keys(found, KEYS, "semantics")
    for key in ("scenario", "action"):
        _check_text(found[key], key)
    if not isinstance(found["entities"], list):
        raise ValueError("`entities` is no list")
    for entity in found["entities"]:
        if not isinstance(entity, dict):
            raise ValueError('an entity is not {"type": ..., "filler": ...}')
        _check_keys(entity, ENTITY_KEYS, "an entity")
        for key in ("type", "filler"):
            _check_text(entity[key], f"{key} of an entity")
    return found


def _check_keys(found: Mapping[str, Any], wanted: set[str], where: str) -> None:
    if unknown := sorted(found.keys() - wanted):
        raise ValueError(f"unknown key of {where}: {', '.join(unknown)}")
    if absent := sorted(wanted - found.keys()):
        raise ValueError(f"{where} without key: {', '.join(absent)}")


def _check_text(value: Any, what: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"not a text: {what}")


def write_answer(semantics: Mapping[str, Any]) -> str:
    """Serialise semantics as the LLM answers them: one line of JSON.

    >>> write_answer({"scenario": "alarm", "action": "set", "entities": []})
    '{"scenario": "alarm", "action": "set", "entities": []}'
    """
    entities = [
        {"type": _joined(e["type"]), "filler": _joined(e["filler"])} for e in semantics["entities"]
    ]
    answer = {
        "scenario": _joined(semantics["scenario"]),
        "action": _joined(semantics["action"]),
        "entities": entities,
    }
    return json.dumps(answer, ensure_ascii=False)


def answer_pattern(labels: Mapping[str, Sequence[str]]) -> str:
    """Regular expression of all answers that `write_answer` could make with these labels."""

    def one_of(kind: str) -> str:
        return f"({'|'.join(re.escape(json.dumps(n, ensure_ascii=False)) for n in labels[kind])})"

    entity = rf'\{{"type": {one_of("type")}, "filler": {FILLER}\}}' if labels["type"] else None
    entities = rf"\[({entity}(, {entity})*)?\]" if entity else r"\[\]"
    return (
        rf'\{{"scenario": {one_of("scenario")}, "action": {one_of("action")}, '
        rf'"entities": {entities}\}}'
    )


def in_order(semantics: Mapping[str, Any], transcript: str) -> dict[str, Any]:
    """Semantics with entities sorted by the places of their fillers in the transcript.

    Equal fillers take one place after another; fillers that are not in it come last.
    """
    said = f" {_joined(transcript).casefold()} "
    taken: dict[str, int] = {}
    places = []
    for entity in semantics["entities"]:
        filler = f" {_joined(entity['filler']).casefold()} "
        place = said.find(filler, taken.get(filler, 0))
        if place >= 0:
            taken[filler] = place + 1
        places.append(place if place >= 0 else len(said))
    order = sorted(range(len(places)), key=lambda i: (places[i], i))
    return {**semantics, "entities": [semantics["entities"][i] for i in order]}


def strange_fillers(semantics: Mapping[str, Any], transcript: str) -> list[str]:
    """Fillers that are not in the transcript as whole words; [] if there is no transcript."""
    if not transcript.strip():
        return []
    said = f" {_joined(transcript).casefold()} "
    fillers = [_joined(entity["filler"]) for entity in semantics["entities"]]
    return [filler for filler in fillers if f" {filler.casefold()} " not in said]


def _joined(text: str) -> str:
    return " ".join(text.split())
