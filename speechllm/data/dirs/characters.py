"""Invisible characters of a transcript: they turn a word into a different one.

Most have no meaning and can be left out, or stand for a blank. Some belong to the spelling in one
script and are leftovers in another: joiners and variation selectors (Persian, Indic scripts,
emoji), the zero width space (Thai, Khmer and others write no blanks).
"""

import re
import unicodedata
from typing import NamedTuple

ESCAPE, ZERO_WIDTH_SPACE, LOST = "\x1b", "\u200b", "\ufffd"
LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
BLANKS = LINE_ENDS + "\t\x1f\u2800\u3164\uffa0"  # the last three are letters that show nothing
JOINERS = "\u200c\u200d"
SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
TAGS = re.compile("[\U000e0000-\U000e007f]")
FLAG = "\U0001f3f4"  # followed by tags, a flag of a part of a country
SUSPECT = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\uffff\U000e0000-\U000e0fff]"
)
REACH = 64  # characters before a joiner, selector or tag in which its base is looked for
VISIBLE = "\ufffc"  # stands for an object, and is drawn
# Scripts by the first word of their letters' names. A joiner after a plain letter is no spelling.
PLAIN_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "COMBINING")
SCRIPTS_WITHOUT_BLANKS = ("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "TAI ", "NEW TAI", "CJK")


class Unseen(NamedTuple):
    """A character that should not be there.

    Attributes:
        character: the character.
        column: its place in the text, from 1.
        instead: its replacement, "" or " "; None where only somebody who knows the text can tell.
        is_control: it is a control character or a line end, which tools stumble over.
    """

    character: str
    column: int
    instead: str | None
    is_control: bool

    def __str__(self) -> str:
        return f"{code(self.character)}, column {self.column}"

    @property
    def by_hand(self) -> str:
        """Advice for a person who knows the text, where `instead` is None."""
        if self.character == LOST:
            return "a character was lost in decoding: take the text from its source again"
        if self.character == ZERO_WIDTH_SPACE:
            return "put a blank in its place where it parts words, else nothing"
        meant = bytes([ord(self.character)]).decode("cp1252", errors="replace")
        if meant not in (LOST, self.character):
            return f"CP1252 was read as LATIN1 here: {code(self.character)} is meant for {meant}"
        return "mend the transcript in this line"


def code(character: str) -> str:
    """Name a character: U+200B."""
    return f"U+{ord(character):04X}"


def unseen(text: str) -> list[Unseen]:
    """Find the characters that should not be there, in order."""
    found: list[Unseen] = []
    if text.isascii() and text.isprintable():  # nearly all lines of nearly all tables
        return found
    for match in SUSPECT.finditer(text):
        character, place = match[0], match.start()
        if not _belongs(text, place):
            control = unicodedata.category(character) in ("Cc", "Zl", "Zp") or character == "\ufeff"
            found.append(Unseen(character, place + 1, _instead(character), control))
    return found


def mended(text: str) -> str:
    """Return a transcript without invisible characters (`without_unseen`), composed (NFC)."""
    return unicodedata.normalize("NFC", without_unseen(text))


def without_unseen(text: str) -> str:
    """Remove invisible characters without meaning; put one blank for those that stand for blanks.

    Characters whose `instead` is None stay.
    """
    characters = list(text)
    for odd in unseen(text):
        if odd.instead is not None:
            characters[odd.column - 1] = "\n" if odd.instead else ""
    return re.sub(r"\s*\n\s*", " ", "".join(characters)).strip()


def _instead(character: str) -> str | None:
    if character in BLANKS:
        return " "
    if character in (ESCAPE, ZERO_WIDTH_SPACE, LOST) or "\x80" <= character <= "\x9f":
        return None
    return ""


def _belongs(text: str, place: int) -> bool:
    """Whether a suspect character belongs to the spelling at this place."""
    character = text[place]
    nearest_first = reversed(text[max(0, place - REACH) : place])
    before = next((c for c in nearest_first if not SUSPECT.match(c)), " ")
    if character in JOINERS:
        return _is_of_script_with_joiners(before)
    if SELECTORS.match(character):
        keycap = text[place + 1 : place + 2] == "\u20e3"
        return keycap or _is_of_script_with_joiners(before)
    if TAGS.match(character):
        return before == FLAG
    if character == ZERO_WIDTH_SPACE:
        around = (before, text[place + 1 : place + 2])
        return any(_name(c).startswith(SCRIPTS_WITHOUT_BLANKS) for c in around)
    return character == VISIBLE


def _is_of_script_with_joiners(character: str) -> bool:
    plain = character.isascii() or character.isspace()
    return not plain and not _name(character).startswith(PLAIN_SCRIPTS)


def _name(character: str) -> str:
    return unicodedata.name(character, "") if character else ""
