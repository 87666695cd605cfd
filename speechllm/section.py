"""Base class of config sections: strict keys, and limits on numbers, texts and lists."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MOST_PARTS = 10_000
"""Most values of a list, or keys of a mapping."""
MOST_CHARACTERS = 1_000_000
"""Most characters of a text; chat templates are the longest."""
LARGEST = 2**63 - 1
_SMALL_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


def _bound(schema: Any) -> None:
    """Add limits to numbers, texts, lists and mappings at any depth of a schema, in place."""
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
    """Refuse texts and booleans, which pydantic would convert.

    Texts like 1e-4 become floats, since yaml does not read them as numbers.
    """
    if isinstance(value, str) and _SMALL_FLOAT.fullmatch(value):
        return float(value)
    if isinstance(value, str | bytes | bool):
        raise PydanticCustomError("number", "Input should be a number")
    return value


class Section(BaseModel):
    """Section of a config: immutable, and strict about its keys and numbers.

    Numbers are finite and of at most 63 bits; `true` and "4" are none. Texts, lists and mappings
    have a largest size. This holds for all fields of subclasses, at any depth.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _bound(handler.resolve_ref_schema(schema))
        return schema
