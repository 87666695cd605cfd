"""Strict parser for JSON from outside: every fault is a ValueError."""

import json
import math
import re
from typing import Any

from speechllm.errors import shortened

HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # a lone surrogate: JSON allows it, UTF-8 does not


def load_json(text: str, keys_once: bool = False) -> Any:
    """Parse a document.

    Args:
        text: text of the document.
        keys_once: refuse objects that have a key twice.

    Raises:
        ValueError: it is not JSON, is nested too deeply, holds NaN, a number beyond floating point
            or a lone surrogate, or (with `keys_once`) has a key twice.
    """
    try:
        value = json.loads(
            text,
            parse_constant=_refuse,
            parse_float=_finite,
            object_pairs_hook=_once if keys_once else None,
        )
    except RecursionError as error:
        raise ValueError("values lie too deep") from error
    if "\\u" in text and (half := HALF_CHARACTER.search(json.dumps(value, ensure_ascii=False))):
        raise ValueError(f"half a character: \\u{ord(half[0]):04x}")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError(f"too large a number: {shortened(number, 100)}")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError(f"a key stands twice: {', '.join(key for key, _ in pairs)}")
    return row
