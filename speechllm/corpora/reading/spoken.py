"""Written English in the form of LibriSpeech's and SlideSpeech's transcripts.

A base model that has learnt one form is only fairly tested on references of the same form.
"""

import re
import unicodedata

SPOKEN = {
    "DR": "DOCTOR",
    "MR": "MISTER",
    "MRS": "MISSUS",
    "OK": "OKAY",
    "&": "AND",
    "%": "PERCENT",
    "+": "PLUS",
}


def spoken_form(text: str) -> str:
    """Convert to capital letters without punctuation, except apostrophes inside words.

    A few abbreviations and signs are written out (`SPOKEN`).

    Digits stay: only the corpus can tell whether 76 was spoken as "SEVENTY SIX".

    >>> spoken_form("The co-op's 50 % off, Dr. Lee.")
    "THE CO OP'S 50 PERCENT OFF DOCTOR LEE"
    """
    text = (
        unicodedata.normalize("NFKC", text).upper().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    )
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*|[&%+]", text)
    return " ".join(SPOKEN.get(word, word) for word in words)
