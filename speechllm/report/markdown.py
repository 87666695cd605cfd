"""Names, titles, commands and transcripts in Markdown: shown as they are, whatever they hold.

Reports are read as plain text too, so that only what would mean something to Markdown, to the HTML
within it or to GitHub's formulas gets a backslash: `a_b` and `0.03 *` mean nothing.
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
    """Something from outside in a line of text."""
    line = _SPECIAL.sub(r"\\\g<0>", " ".join(str(value).split()))
    # A number's mark is what stands behind it.
    return _LEADING.sub(lambda m: f"{m[0]}\\" if m[0].isdigit() else f"\\{m[0]}", line)


def cell(value: object) -> str:
    """Something from outside in a table."""
    return _SPECIAL.sub(r"\\\g<0>", " ".join(str(value).split(None))).replace("|", "\\|")


def code(value: object) -> str:
    """Something from outside as code in a line of text."""
    line = re.sub(r"[\r\n]+", " ", str(value)) or " "
    ticks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    space = " " if line[0] == "`" or line[-1] == "`" else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def fenced(value: str, language: str = "") -> str:
    """Lines from outside as a block of code."""
    ticks = "`" * max(3, 1 + max(map(len, re.findall("`+", value)), default=0))
    return f"{ticks}{language}\n{value.rstrip()}\n{ticks}"


def spans(line: str) -> list[tuple[str, str]]:
    """Take a line apart that this module and **bold** made: (kind, what it shows).

    Returns:
        Kinds are "code", "strong" and "", in the order of the line.
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
