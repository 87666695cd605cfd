"""Markdown escapes: names, titles, commands and transcripts are shown exactly as they are.

Reports are read as plain text too. So a backslash goes only before marks that Markdown, HTML within
it or GitHub's formulas would interpret: `a_b` and `0.03 *` stay as they are.
"""

import re

_SPECIAL = re.compile(
    r"`|\\(?=[!-/:-@\[-`{-~])"  # code; a backslash before a mark
    r"|[*~$](?=\S)|(?<![^\W_])_(?=\S)"  # what begins emphasis, a strike or a formula
    r"|\](?=[(\[:])|<(?=[A-Za-z/!?])|&(?=#?\w+;)"  # links, tags, entities
)
_LEADING = re.compile(r"^(?:[-+>](?=\s|$)|#|\d+(?=[.)](?:\s|$)))|(?<=\s)#+$")
_SPAN = re.compile(
    r"(?P<ticks>`+)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)|\\(?P<mark>[!-/:-@\[-`{-~])"
    r"|\*\*(?P<strong>.+?)\*\*|(?P<other>.)",
    re.DOTALL,
)


def text(value: object) -> str:
    """Escape a value for a line of text."""
    line = _SPECIAL.sub(r"\\\g<0>", " ".join(str(value).split()))
    # In "1." the dot is what makes a list, so the backslash goes after the number.
    return _LEADING.sub(lambda m: f"{m[0]}\\" if m[0].isdigit() else f"\\{m[0]}", line)


def cell(value: object) -> str:
    """Escape a value for a table cell."""
    return _SPECIAL.sub(r"\\\g<0>", " ".join(str(value).split(None))).replace("|", "\\|")


def code(value: object) -> str:
    """Write a value as code within a line of text."""
    line = re.sub(r"[\r\n]+", " ", str(value)) or " "
    ticks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    space = " " if line[0] == "`" or line[-1] == "`" else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def fenced(value: str, language: str = "") -> str:
    """Write lines as a block of code."""
    ticks = "`" * max(3, 1 + max(map(len, re.findall("`+", value)), default=0))
    return f"{ticks}{language}\n{value.rstrip()}\n{ticks}"


def spans(line: str) -> list[tuple[str, str]]:
    """Split a line into spans: `code`, **bold**, and other text with the escapes of this module.

    Returns:
        (kind, text shown) in the order of the line; kinds are "code", "strong" and "".
    """
    found = []
    for match in _SPAN.finditer(line):
        if match["code"] is not None:
            inside = match["code"]
            ticked = inside[:2] == " `" or inside[-2:] == "` "
            found.append(("code", inside[1:-1] if ticked else inside))
        elif match["strong"] is not None:
            found.append(("strong", "".join(shown for _, shown in spans(match["strong"]))))
        else:
            found.append(("", match["mark"] or match["other"]))
    return found
