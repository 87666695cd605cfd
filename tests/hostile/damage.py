"""Hostile contents: valid files damaged as bytes, as lines, as words, as values and as formats."""

import copy
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable
from typing import Any

import yaml
from hypothesis import strategies as st

WORD = re.compile(rb"[^\s\"'{}\[\],:=|<>]+")
NUMBER = re.compile(rb"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
NUMBERS = [
    *("nan", "inf", "-inf", "1e999", "1e-400", "-1", "0", "-0", "1e18", "1e400", "0x10", "1_000"),
    *(
        "9" * 23,
        "9" * 5000,
        "0." + "3" * 400,
        "1e999999999",
        "٣",
        "１２",
        "true",
        "1:30",
        "99999999",
    ),
]
WORDS = [
    *("", "null", "[]", "{}", "[[]]", '"', "'", "\\", "\\ud800", "\\u0000", "%s", "{}{}", "$(id)"),
    *("../../x", "/etc/passwd", ".", "..", "a/b", "touch x |", "cat x|", "|", "=", "-", "--", "#"),
    *("!!float abc", "!!timestamp x", "9999-99-99", "&a [*a]", "*b", "<<: 1", "? [a]", "<speech>"),
    *("\0", "\x1b[2J", "\u202e", "\u00a0", "\u2028", "\x85", "\x0c", "\x1c", "\u3000", "\u200b"),
    *("\ufeff", "e\u0301", "\U0010ffff", "\r", "\t", "\udcff", "\ud800"),
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
    *(float("nan"), 10**9, "\u2028", "\udcff"),
]
BOMB, MOST_INSIDE = 1 << 27, 1 << 20
"""Bytes that a gzipped bomb unpacks to: enough to be seen, and harmless."""
SIZES = [0, 1, 7, 2**16, 2**31 - 1, 2**31, 2**40, 2**63 - 1, 2**63, 2**64 - 1]
Damage = Callable[[st.DrawFn, bytes], bytes]


@st.composite
def damaged(draw: st.DrawFn, name: str, content: bytes) -> bytes:
    """The content of a valid file of this name, damaged one to three times."""
    suffix = name.rpartition(".")[2]
    damages = [*DAMAGES, *OF_FORMATS.get(suffix, []) * 6]
    for _ in range(draw(st.integers(1, 3))):
        content = draw(st.sampled_from(damages))(draw, content)
    return content


@st.composite
def overrides(draw: st.DrawFn, keys: list[str]) -> list[str]:
    """Changes of a config, key=value."""
    pairs = st.tuples(st.sampled_from([*keys, "", "a", "a..b", "."]), hostile_words())
    # A NUL ends a word of a command line, so that none can have one.
    return [f"{key}={value}".replace("\0", "") for key, value in draw(st.lists(pairs, max_size=3))]


def hostile_words() -> st.SearchStrategy[str]:
    """Numbers and words that are none, or too much."""
    return st.one_of(st.sampled_from(NUMBERS), st.sampled_from(WORDS), st.text(max_size=20))


def as_bytes(word: str) -> bytes:
    """A word in UTF-8, lone surrogates included, which no reader of UTF-8 takes."""
    return word.encode("utf-8", errors="surrogatepass")


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
    what = draw(st.sampled_from(["swap", "double", "drop", "move", "reverse", "many"]))
    if what == "swap":
        lines[one], lines[other] = lines[other], lines[one]
    elif what == "double":
        lines.insert(other, lines[one])
    elif what == "drop":
        del lines[one]
    elif what == "move":
        lines.insert(other, lines.pop(one))
    elif what == "reverse":
        lines.reverse()
    else:
        lines[one:one] = lines[one : one + 1] * min(1000, 1 + 100_000 // (1 + len(lines[one])))
    return b"\n".join(lines)


def _text(draw: st.DrawFn, content: bytes) -> bytes:
    """The file as another system or program would have written it."""
    what = draw(st.sampled_from(["mark", "crlf", "cr", "utf-16", "utf-32-be", "latin", "blanks"]))
    if what == "mark":
        return b"\xef\xbb\xbf" + content
    if what in ("crlf", "cr"):
        return content.replace(b"\n", b"\r\n" if what == "crlf" else b"\r")
    if what == "blanks":
        return content.replace(b" ", draw(st.sampled_from([b"\t", b"  ", "\u00a0".encode()])))
    text = content.decode("utf-8", errors="replace")
    return b"\xe9" + content if what == "latin" else text.encode(what, errors="replace")


def _replaced(draw: st.DrawFn, content: bytes, pattern: re.Pattern[bytes], by: str) -> bytes:
    found = list(pattern.finditer(content))[:200]
    if not found:
        return content
    match = draw(st.sampled_from(found))
    return content[: match.start()] + as_bytes(by) + content[match.end() :]


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


def _yaml(draw: st.DrawFn, content: bytes) -> bytes:
    """Change a value of a yaml document, or give it aliases that stand for more and more."""
    try:
        value = yaml.safe_load(content)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return content
    except yaml.YAMLError:
        return content
    value = _changed(draw, value)
    if isinstance(value, dict) and value and draw(st.integers(0, 4)) == 0:
        more: Any = ["x"] * 8
        for _ in range(draw(st.integers(1, 6))):
            more = [more] * 8
        value[draw(st.sampled_from(list(value)))] = more
    try:
        return as_bytes(yaml.safe_dump(value, allow_unicode=True, sort_keys=False))
    except (ValueError, yaml.YAMLError):  # an integer of too many digits
        return content


def _changed(draw: st.DrawFn, value: Any) -> Any:
    parts = list(value) if isinstance(value, dict) else range(len(value)) if _is_list(value) else []
    if not parts or draw(st.integers(0, 5)) == 0:
        return copy.deepcopy(draw(st.sampled_from(VALUES)))
    key = draw(st.sampled_from(list(parts)))
    what = draw(st.sampled_from(["change", "change", "change", "drop", "add"]))
    if what == "drop":
        del value[key]
    elif what == "add" and isinstance(value, dict):
        added = draw(st.sampled_from(["x", "id", "", "a.b", "../x", "\n"]))
        value[added] = draw(st.sampled_from(VALUES))
    else:
        value[key] = _changed(draw, value[key])
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _dumped(value: Any) -> bytes:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**4000:
        value = 1
    return json.dumps(value).encode()


def _zipped(draw: st.DrawFn, content: bytes) -> bytes:
    """Damage what is inside of a gzip file; or put a bomb, or two files, into it."""
    try:  # not all of it: this process, whose memory is limited, may have made a bomb of it
        inside = gzip.GzipFile(fileobj=io.BytesIO(content)).read(MOST_INSIDE)
    except (OSError, EOFError, zlib.error):
        return content
    what = draw(st.sampled_from(["inside", "inside", "inside", "bomb", "twice", "tail"]))
    if what == "bomb":
        after = draw(st.sampled_from([b"", b"\n", b"\n\\data\\\nngram 1="]))
        byte = draw(st.sampled_from([b"\0", b"1", b" ", b"\n"]))
        packed = io.BytesIO()
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as bomb:
            bomb.write(inside[: _place(draw, inside)] + after)
            for _ in range(BOMB // MOST_INSIDE):
                bomb.write(byte * MOST_INSIDE)
        return packed.getvalue()
    if what == "twice":
        return content * 2
    if what == "tail":
        return content + draw(st.binary(min_size=1, max_size=20))
    return gzip.compress(draw(damaged("", inside)), 1, mtime=0)


def _sized(draw: st.DrawFn, content: bytes) -> bytes:
    """Change one of the numbers in binary that a file may hold."""
    width = draw(st.sampled_from([1, 2, 4, 8]))
    start = draw(st.integers(0, min(64, len(content))))
    number = draw(st.sampled_from(SIZES)) % (1 << 8 * width)
    order = draw(st.sampled_from(["little", "big"]))
    return content[:start] + number.to_bytes(width, order) + content[start + width :]


def _header(draw: st.DrawFn, content: bytes) -> bytes:
    """Change a value in the header of a safetensors file, whose length stays true."""
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length]
    changed = draw(st.sampled_from([_json, _json, _number, _word]))(draw, header)
    return len(changed).to_bytes(8, "little") + changed + content[8 + length :]


DAMAGES: list[Damage] = [
    *(_other_content, _cut, _bytes, _lines, _text, _word, _word, _number, _json, _json)
]
OF_FORMATS: dict[str, list[Damage]] = {
    "gz": [_zipped],
    "yaml": [_yaml],
    "safetensors": [_header, _sized],
    "ark": [_sized, _number],
    "wav": [_sized],
}
