"""Data as scripts: a page opened from disk may not fetch JSON, but it may load a script."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speechllm.files.whole import whole_file

# In a script, "<" could end it (</script>) or start a comment (<!--), and older engines take the
# two separators for line ends. All are rewritten as escapes that JSON itself knows.
# Lone surrogates cannot be written as UTF-8.
_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def script_json(value: Any) -> str:
    """Return a value as JSON in one line that is safe inside a script.

    Lone surrogates, which UTF-8 cannot hold, become escapes as well.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def write_script(path: Path, function: str, arguments: Sequence[Any]) -> int:
    """Write `function(arguments...)`; return its size in bytes.

    The arguments travel in a string that the browser hands to JSON.parse: for megabytes that is
    faster than an object literal, and a key such as `__proto__` stays an ordinary key.

    Args:
        path: file to write.
        function: JavaScript function that takes the data.
        arguments: its arguments, as JSON can hold them.
    """
    packed = script_json(list(arguments)).replace("\\", "\\\\").replace("'", "\\'")
    with whole_file(path) as stream:
        stream.write(f"{function}(...JSON.parse('{packed}'));\n")
    return path.stat().st_size
