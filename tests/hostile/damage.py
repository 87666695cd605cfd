"""Hostile inputs: valid files damaged at random, as bytes, as lines, as words and as JSON."""

import copy
import json
import re
from typing import Any

from hypothesis import strategies as st

WORD = re.compile(rb"[^\s\"'{}\[\],:=|<>]+")
NUMBER = re.compile(rb"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
NUMBERS = [
    *("nan", "inf", "-inf", "1e999", "1e-400", "-1", "0", "-0", "1e18", "1e400", "0x10", "1_000"),
    *("9" * 23, "9" * 5000, "0." + "3" * 400, "1e999999999", "٣", "１２", "true", "1:30"),
]
WORDS = [
    *("", "null", "[]", "{}", "[[]]", '"', "'", "\\", "\\ud800", "\\u0000", "%s", "{}{}", "$(id)"),
    *("../../x", "/etc/passwd", ".", "..", "a/b", "touch x |", "cat x|", "|", "=", "-", "--", "#"),
    *("!!float abc", "!!timestamp x", "9999-99-99", "&a [*a]", "*b", "<<: 1", "? [a]", "<speech>"),
    *("\0", "\x1b[2J", "\u202e", "\u00a0", "\u2028", "\ufeff", "e\u0301", "\U0010ffff", "\r", "\t"),
    *("x" * 300, "x" * 100_000, "[" * 3000, "{" * 3000, '{"a":' * 3000, "(" * 300, "a.b.c"),
    *("True", "no", "~", "1", "-1", "\n", "\n\n", "\\data\\", "\\end\\", "RIFF", "\x1f\x8b", "PK"),
]
CONTENTS = [
    b"",
    b"\n",
    b"\0" * 64,
    b"\xff\xfe" + "a 1\n".encode("utf-16-le"),
    b"\xef\xbb\xbf",
    b"\x1f\x8b\x08\x00" + b"\xff" * 20,
    b"PK\x03\x04" + b"\0" * 40,
    b"[" * 50_000,
    b"{" * 50_000,
    b'{"a":' * 50_000,
    b"null",
    b"[]",
    b"{}",
    b"[null]",
    b'"x"',
    b"1e999",
    b"\xe9t\xe9 caf\xe9\n",
    b"- " * 9000,
    b"a: " * 9000,
    b"x" * 300_000,
    (b"\xff" * 7 + b"\x7f") + b"{}",
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 10**23, 10**400, 0.5, float("inf"), -1e300, "", " ", "x", "1"),
    *([], {}, [None], [[]], [[0]], {"a": {}}, ["x"] * 500, {"x": None}, [1, "a", None], "\ud800"),
    *("../x", "/etc/passwd", "a b", "id |", "x" * 9999, "\n", "\0", "9" * 5000, [{}], [[], {}]),
]


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content of a valid file, damaged one to three times."""
    for _ in range(draw(st.integers(1, 3))):
        content = draw(st.sampled_from(DAMAGES))(draw, content)
    return content


@st.composite
def overrides(draw: st.DrawFn, keys: list[str]) -> list[str]:
    """Changes of a config, key=value."""
    pairs = st.tuples(st.sampled_from([*keys, "", "a", "a..b", "."]), hostile_words())
    return [f"{key}={value}" for key, value in draw(st.lists(pairs, max_size=3))]


def hostile_words() -> st.SearchStrategy[str]:
    """Numbers and words that are none, or too much."""
    return st.one_of(st.sampled_from(NUMBERS), st.sampled_from(WORDS), st.text(max_size=20))


def _place(draw: st.DrawFn, content: bytes) -> int:
    return draw(st.integers(0, len(content)))


def _other_content(draw: st.DrawFn, content: bytes) -> bytes:
    return draw(st.one_of(st.sampled_from(CONTENTS), st.binary(max_size=200)))


def _cut(draw: st.DrawFn, content: bytes) -> bytes:
    return content[: _place(draw, content)]


def _bytes(draw: st.DrawFn, content: bytes) -> bytes:
    start = _place(draw, content)
    end = min(len(content), start + draw(st.integers(0, 8)))
    return content[:start] + draw(st.binary(max_size=8)) + content[end:]


def _lines(draw: st.DrawFn, content: bytes) -> bytes:
    lines = content.split(b"\n")
    one, other = (draw(st.integers(0, len(lines) - 1)) for _ in "ab")
    what = draw(st.sampled_from(["swap", "double", "drop", "move"]))
    if what == "swap":
        lines[one], lines[other] = lines[other], lines[one]
    elif what == "double":
        lines.insert(other, lines[one])
    elif what == "drop":
        del lines[one]
    else:
        lines.insert(other, lines.pop(one))
    return b"\n".join(lines)


def _replaced(draw: st.DrawFn, content: bytes, pattern: re.Pattern[bytes], by: str) -> bytes:
    found = list(pattern.finditer(content))[:200]
    if not found:
        return content
    match = draw(st.sampled_from(found))
    new = by.encode("utf-8", errors="surrogatepass")
    return content[: match.start()] + new + content[match.end() :]


def _word(draw: st.DrawFn, content: bytes) -> bytes:
    return _replaced(draw, content, WORD, draw(hostile_words()))


def _number(draw: st.DrawFn, content: bytes) -> bytes:
    return _replaced(draw, content, NUMBER, draw(st.sampled_from(NUMBERS)))


def _json(draw: st.DrawFn, content: bytes) -> bytes:
    """Change a value of a JSON document, or of one of JSON lines."""
    lines = [content]
    number = 0
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        lines = content.split(b"\n")
        number = draw(st.integers(0, len(lines) - 1))
        head = b"" if lines[number].startswith((b"{", b"[")) else lines[number].split(b" ")[0]
        try:
            value = json.loads(lines[number][len(head) :])
        except (ValueError, RecursionError):
            return content
        changed = head + b" " * bool(head) + _dumped(_changed(draw, value))
    else:
        changed = _dumped(_changed(draw, value))
    lines[number] = changed
    return b"\n".join(lines)


def _changed(draw: st.DrawFn, value: Any) -> Any:
    parts = list(value) if isinstance(value, dict) else range(len(value)) if _is_list(value) else []
    if not parts or draw(st.integers(0, 5)) == 0:
        return copy.deepcopy(draw(st.sampled_from(VALUES)))
    key = draw(st.sampled_from(list(parts)))
    what = draw(st.sampled_from(["change", "change", "change", "drop", "add"]))
    if what == "drop":
        del value[key]
    elif what == "add" and isinstance(value, dict):
        value[draw(st.sampled_from(["x", "id", "", "a.b"]))] = draw(st.sampled_from(VALUES))
    else:
        value[key] = _changed(draw, value[key])
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _dumped(value: Any) -> bytes:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**4000:
        value = 1
    return json.dumps(value).encode()


DAMAGES = [_other_content, _cut, _bytes, _lines, _word, _word, _number, _json, _json]
