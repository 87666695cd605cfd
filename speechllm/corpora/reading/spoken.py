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
    """Capital letters, apostrophes inside words, no other punctuation; a few words written out.

    Digits stay: whether 76 was "SEVENTY SIX" is for the corpus to say.
    """
    text = (
        unicodedata.normalize("NFKC", text).upper().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    )
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*|[&%+]", text.upper())
    return " ".join(SPOKEN.get(word, word) for word in words)
