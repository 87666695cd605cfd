"""JSON from outside: whatever is wrong with it is a ValueError."""

import json
import re
from typing import Any

HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # JSON can say it, and UTF-8 cannot


def load_json(text: str, keys_once: bool = False) -> Any:
    """Parse a document.

    Args:
        text: of the document.
        keys_once: refuse an object in which a key stands twice.

    Raises:
        ValueError: it is not JSON, lies too deep, or holds NaN or half a character.
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
