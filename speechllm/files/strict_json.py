"""Strict parser for JSON from outside: every fault is a ValueError."""

import json
import re
from typing import Any

HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # a lone surrogate: JSON allows it, UTF-8 does not


def load_json(text: str, keys_once: bool = False) -> Any:
    """Parse a document.

    Args:
        text: text of the document.
        keys_once: refuse objects that have a key twice.

    Raises:
        ValueError: it is not JSON, is nested too deeply, holds NaN or a lone surrogate, or (with
            `keys_once`) has a key twice.
    """
    try:
        value = json.loads(
            text, parse_constant=_refuse, object_pairs_hook=_once if keys_once else None
        )
    except RecursionError as error:
        raise ValueError("values lie too deep") from error
    if "\\u" in text and (half := HALF_CHARACTER.search(json.dumps(value, ensure_ascii=False))):
        raise ValueError(f"half a character: \\u{ord(half[0]):04x}")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError(f"a key stands twice: {', '.join(key for key, _ in pairs)}")
    return row
