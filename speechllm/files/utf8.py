"""Reader of UTF-8 text; the error for any other file gives the command that converts it."""

import codecs
import gzip
import re
import shlex
from pathlib import Path

from speechllm.errors import DataError, SpeechLLMError

HEAD = 1 << 20  # bytes that are examined to guess an encoding
PEEKED = 4096  # bytes that are enough to detect UTF-16 and UTF-32
# The mark of UTF-32 begins with that of UTF-16, so it comes first.
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and other zip archives; .xls
GZIP = b"\x1f\x8b"
HIGH = re.compile(rb"[\x80-\xff]+")
LEAST_ASCII = 0.1  # of the characters: digits, blanks and line ends are ASCII in any script
FOREIGN = 4  # bytes above ASCII in a row: in Western text a letter with an accent stands alone


def decode(
    content: bytes,
    path: str | Path,
    error: type[SpeechLLMError] = DataError,
    option: str | None = None,
) -> str:
    """Return the text of a file; a byte-order mark is left out, line ends stay as they are.

    Args:
        content: content of the whole file.
        path: the file, for messages.
        error: class of the error to raise.
        option: config key that names the file, for messages.

    Raises:
        SpeechLLMError: the content is not UTF-8. The message names the line and the command that
            converts the file.
    """
    line = 1
    if not wide_encoding(content):
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as fault:
            line = content[: fault.start].count(b"\n") + 1
    message, remedy = not_utf8(path, content)
    raise error(f"{_place(path, option)}:{line}: {message}", remedy=remedy)


def read_text(
    path: str | Path, error: type[SpeechLLMError] = DataError, option: str | None = None
) -> str:
    """Read a text file; see `decode`.

    Args:
        path: the file.
        error: class of the error to raise.
        option: config key that names the file, for messages.

    Raises:
        SpeechLLMError: the file is missing, cannot be read, or is not UTF-8.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as fault:
        place = _place(path, option)
        raise error(f"{place}: cannot be read ({fault.strerror})") from fault
    return decode(content, path, error, option)


def _place(path: str | Path, option: str | None) -> str:
    return f"{option}: {path}" if option else str(path)


def not_utf8(path: str | Path, sample: bytes | None = None) -> tuple[str, str]:
    """Describe a file that is not UTF-8: return a message and a remedy.

    Args:
        path: the file.
        sample: its content, or the part that is not UTF-8; None reads the beginning.
    """
    content = _head(path) if sample is None else sample[:HEAD]
    if content.startswith(WORKBOOKS):
        return "file is a workbook or an archive, no text", "save its table as CSV in UTF-8"
    if content.startswith(GZIP):
        old, new = _quoted(path)
        return "file is gzipped", f"unpack it: gunzip < {old} > {new} && mv {new} {old}"
    if wide := wide_encoding(content):
        return f"file is {wide}, not UTF-8", f"convert the file: {_iconv(wide, path)}"
    runs = HIGH.findall(content)
    if 2 * sum(map(_is_utf8, runs)) >= len(runs) > 1:
        return "line is not UTF-8", "mend the line in an editor: other lines of the file are UTF-8"
    if max(map(len, runs), default=0) >= FOREIGN or not _decodes(content, "cp1252"):
        which = "put its true encoding for ENCODING, such as GBK, SHIFT_JIS or CP1251"
        return "line is not UTF-8", f"{which}: {_iconv('ENCODING', path)}"
    # CP1252 is LATIN1 with quotes and dashes in the place of control characters.
    which = "convert the file from CP1252, or what else its true encoding is"
    return "line is not UTF-8", f"{which}: {_iconv('CP1252', path)}"


def refuse_wide(content: bytes, path: str | Path) -> None:
    """Raise DataError if a file is UTF-16 or UTF-32.

    Without a byte-order mark such a file may be valid UTF-8 with NULs, which no decoder refuses.

    Args:
        content: beginning of the file.
        path: the file.
    """
    if wide_encoding(content):
        message, remedy = not_utf8(path, content)
        raise DataError(message, path, 1, remedy)


def wide_encoding(content: bytes) -> str | None:
    """Name, as iconv has it, of the UTF-16 or UTF-32 encoding of a text; None for any other."""
    for mark, name in MARKS.items():
        if content.startswith(mark):
            return name
    if b"\0" not in content:
        return None
    # Without a mark: the encoding that leaves no NUL and gives the most ASCII.
    texts = {}
    for name in ("UTF-32LE", "UTF-32BE", "UTF-16LE", "UTF-16BE"):
        text = content[:HEAD][: len(content) // 4 * 4].decode(name, errors="replace")
        if "\0" not in text and "\ufffd" not in text[:-1]:
            texts[name] = sum(map(str.isascii, text)) / max(1, len(text))
    best = max(texts, key=lambda name: texts[name], default=None)
    return best if best and texts[best] >= LEAST_ASCII else None


def _iconv(encoding: str, path: str | Path) -> str:
    """Command that converts a file in place, and leaves it alone if iconv fails."""
    old, new = _quoted(path)
    if str(path).endswith(".gz"):
        convert = f"gunzip -c {old} | iconv -f {encoding} -t UTF-8 | gzip > {new}"
        return f"set -o pipefail; {convert} && mv {new} {old}"
    return f"iconv -f {encoding} -t UTF-8 {old} > {new} && mv {new} {old}"


def _quoted(path: str | Path) -> tuple[str, str]:
    return shlex.quote(str(path)), shlex.quote(f"{path}.new")


def _head(path: str | Path) -> bytes:
    try:
        opened = gzip.open if str(path).endswith(".gz") else open
        with opened(path, "rb") as stream:
            return stream.read(HEAD)
    except (OSError, EOFError):
        return b""


def _is_utf8(content: bytes) -> bool:
    return _decodes(content, "utf-8")


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
