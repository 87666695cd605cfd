"""What every part of a config is held to, whatever it declares."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MOST_PARTS = 10_000
"""Values of a list, and keys of a mapping."""
MOST_CHARACTERS = 1_000_000
"""Of a text; chat templates are the longest."""
LARGEST = 2**63 - 1
_SMALL_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


def _bound(schema: Any) -> None:
    """Bound numbers, texts, lists and mappings wherever they stand in a schema, in place."""
    if isinstance(schema, list | tuple):
        for part in schema:
            _bound(part)
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    if kind == "function-before" and schema["function"]["function"] is _number:
        return  # a section within a section comes here twice
    if kind in ("int", "float"):
        limits = {"le": LARGEST, "ge": -LARGEST}
        inner = {k: v for k, v in limits.items() if not _has_limit(schema, k)} | schema
        schema.clear()
        schema.update(core_schema.no_info_before_validator_function(_number, inner))
        return
    if kind in ("str", "list", "tuple", "dict"):
        schema.setdefault("max_length", MOST_CHARACTERS if kind == "str" else MOST_PARTS)
    for key, part in schema.items():
        if key != "default":
            _bound(part)


def _has_limit(schema: Mapping[str, Any], name: str) -> bool:
    return name in schema or name.replace("e", "t") in schema


def _number(value: Any) -> Any:
    """Refuse what pydantic would take for a number; yaml reads 1e-4 as a text."""
    if isinstance(value, str) and _SMALL_FLOAT.fullmatch(value):
        return float(value)
    if isinstance(value, str | bytes | bool):
        raise PydanticCustomError("number", "Input should be a number")
    return value


class Section(BaseModel):
    """A part of a config: immutable, and strict about its keys and its numbers.

    Numbers are finite and of 63 bits, and neither `true` nor "4" is one; texts, lists and mappings
    have an end. This holds for whatever a subclass declares, at any depth.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _bound(handler.resolve_ref_schema(schema))
        return schema
