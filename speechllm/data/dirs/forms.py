"""Written form of words: case, punctuation, Unicode form.

Bias lists, language models, lexicons, training text: all of them meet transcripts word by word. A
word in another form is a different word: it never matches, and nobody is warned. `compare` counts
how many items of such a resource occur in texts as written, and how many would in another form.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator

Fold = Literal["nfc", "lower", "upper", "punctuation"]
Folding = Annotated[
    tuple[Fold, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v or ())
]
"""Config value: one fold or a list; folded text is always composed (Unicode NFC)."""

SAYS: dict[Fold, str] = {
    "nfc": "in Unicode form NFC",
    "lower": "in lower case",
    "upper": "in capitals",
    "punctuation": "without punctuation",
}
CANDIDATES: tuple[tuple[Fold, ...], ...] = (
    ("nfc",),
    ("lower",),
    ("upper",),
    ("punctuation",),
    ("lower", "punctuation"),
    ("upper", "punctuation"),
)
"""Folds that `compare` tries; of equally good ones it takes the first."""
MUCH = 0.05
"""Share worth a warning: items found in another form only, of all items found in any form."""
MUCH_MIXED = 0.25
"""Share worth a warning where no single fold makes the items fit. Two texts with capitals and
punctuation, written alike, have up to an eighth: `stones` is in one, `stones?` in the other."""
SAMPLE = 2000
"""Items by which the form is chosen: so many that fit, and so many that do not."""
CLOSING = '.,;:!?\u2026)]}"\u201d\u00bb\u3002\uff0c\u3001\uff1b\uff1a\uff1f\uff01'
"""Punctuation at the end of a word that does not make it another word."""
_MARKS = re.compile(r"[^\w\s]|_")
_CURLY = re.compile("[\u2018\u2019\u02bc]")


def fold(text: str, folds: Iterable[Fold]) -> str:
    """Text in another form, with single blanks; unchanged if `folds` is empty.

    >>> fold("Sugar, Beet", ("lower", "punctuation"))
    'sugar beet'
    """
    folds = tuple(folds)
    if not folds:
        return text
    text = text if text.isascii() else unicodedata.normalize("NFC", text)
    for name in folds:
        if name == "lower":
            text = text.lower()
        elif name == "upper":
            text = text.upper()
        elif name == "punctuation" and not text.isalnum():
            text = strip_punctuation(_CURLY.sub("'", text))
    return " ".join(text.split())


def strip_punctuation(text: str) -> str:
    """Remove commas inside numbers; blank other marks, save `'` in a word and a decimal point."""
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)

    def keep_or_space(match: re.Match[str]) -> str:
        mark, start, end = match[0], match.start(), match.end()
        before, after = match.string[start - 1 : start], match.string[end : end + 1]
        if unicodedata.category(mark)[0] not in "PS":
            return mark  # a combining mark belongs to its letter
        inside_word = mark == "'" and before.isalnum() and after.isalnum()
        decimal_point = mark == "." and before.isdigit() and after.isdigit()
        return mark if inside_word or decimal_point else " "

    return _MARKS.sub(keep_or_space, text)


def count_words(texts: Iterable[str]) -> Counter[str]:
    """Count of each word in texts."""
    return Counter(word for text in texts for word in text.split())


def words_of_phrases(texts: Iterable[str]) -> set[str]:
    """Words of texts that bias entries may match: as written, and without closing punctuation."""
    words = {word for text in texts for word in text.split()}
    return words | {word.rstrip(CLOSING) for word in words} - {""}


def unlike(texts: Iterable[str], known: Collection[str], where: str) -> str | None:
    """Say in one sentence how far texts differ in form from other texts; None if they do not.

    Args:
        texts: texts that should be written as the others are.
        known: words of the others.
        where: name of the others, for the sentence.
    """
    fit = compare(count_words(texts), known)
    return fit.says("words", where) if fit.is_odd() else None


@dataclass(frozen=True)
class Fit:
    """Counts of items (words or phrases) that occur in texts, as written and in another form.

    Attributes:
        total: number of items.
        fits: items that occur as written; of a phrase, one word is enough.
        would: items of which more words would occur in another form.
        folds: that form; empty where no single fold leads to it, as in texts of mixed case.
        example: such an item, and its form in the texts.
        sure: the texts are wholly in that case, so no item of `would` can be right as written.
    """

    total: int
    fits: int
    would: int = 0
    folds: tuple[Fold, ...] = ()
    example: tuple[str, str] = ("", "")
    sure: bool = False

    @property
    def unknown(self) -> int:
        """Number of items that do not occur as written."""
        return self.total - self.fits

    @property
    def unknown_percent(self) -> float:
        """Percentage of unknown items, to one digit."""
        return round(100 * self.unknown / max(1, self.total), 1)

    def is_odd(self, of_list: bool = False) -> bool:
        """Whether so many items would fit in another form that a warning is due.

        Args:
            of_list: the items were chosen by hand, so a single one is enough where it is `sure`.
        """
        least = (MUCH if self.folds else MUCH_MIXED) * (self.fits + self.would)
        return self.would > 0 and (self.would >= least or (of_list and self.sure))

    def says(self, items: str, where: str) -> str:
        """Finding about a list, as one sentence without full stop."""
        found = f"{self.fits:,} of {self.total:,} {items} stand in {where} as they are written"
        return f"{found}, {self.would:,} more would {self._form}" if self.would else found

    def says_unknown(self, words: str, where: str) -> str:
        """Finding about a text, as one sentence without full stop."""
        percent = f"{self.unknown_percent} %"
        found = f"{self.unknown:,} of {self.total:,} {words} ({percent}) are unknown to {where}"
        return f"{found}, {self.would:,} of them are known {self._form}" if self.would else found

    @property
    def _form(self) -> str:
        """Form in which more items would fit, in words, with an example."""
        form = " and ".join(SAYS[name] for name in self.folds) or "in another form"
        # Two Unicode forms of a word look alike, so they are shown as escapes.
        alike = len({unicodedata.normalize("NFC", side) for side in self.example}) == 1
        ours, theirs = map(ascii if alike else repr, self.example)
        return f"{form} ({ours} is {theirs} there)"

    def assignment(self, key: str) -> str:
        """Setting that folds the items, e.g. `biasing.fold=lower`; "" where none does."""
        if len(self.folds) > 1:
            return f"'{key}=[{','.join(self.folds)}]'"
        return f"{key}={self.folds[0]}" if self.folds else ""


def compare(items: Mapping[str, int], known: Collection[str], folds: Sequence[Fold] = ()) -> Fit:
    """Compare words and phrases with words, as they are written and in other forms.

    An item fits if any of its words is known, and the other form makes no more of them known.

    Args:
        items: item -> its weight.
        known: words of the texts, or of a vocabulary.
        folds: folds that the items get in any case; other forms come on top.
    """
    known = known if isinstance(known, (set, frozenset, dict)) else set(known)
    total = sum(items.values())
    split = {item: fold(item, folds).split() for item in items}
    found = {item: sum(word in known for word in words) for item, words in split.items()}
    fits = {item for item, number in found.items() if number}
    open_ones = [item for item, number in found.items() if number < len(split[item])]
    as_written = Fit(total, sum(items[item] for item in fits))

    def gain(item: str, words: Sequence[str], vocabulary: Collection[str]) -> float:
        """Gain in the known share of the item's words in this form; negative if it is a loss."""
        now = sum(word in vocabulary for word in words)
        if 0 < now < len(words) and len(words) != len(split[item]):
            return 0.0  # an item that is cut into more words is known only if all of them are
        return now / max(1, len(words)) - found[item] / max(1, len(split[item]))

    samples = [_sampled(open_ones), _sampled([i for i in items if found[i] == len(split[i])])]

    def net(of: Callable[[str], Sequence[str]], vocabulary: Collection[str]) -> float:
        return sum(
            scale * sum(items[item] * gain(item, of(item), vocabulary) for item in sample)
            for scale, sample in (samples if open_ones else ())
        )

    tried = [_joined(folds, candidate) for candidate in CANDIDATES]
    nets = [net(lambda item, form=form: fold(item, form).split(), known) for form in tried]
    most = max(nets)
    form, better = tried[nets.index(most)], set[str]()
    there: dict[str, str] = {}
    if open_ones:
        for word in known:
            there.setdefault(bare(word), word)

    def alike(item: str) -> list[str]:
        bares = [bare(word) for word in item.split()]
        return [part for b in bares for part in ([b] if b in there else b.split())]

    if net(alike, there) > max(0, 2 * most):  # the texts have no single form
        form = ()
        better = {i for i in open_ones if gain(i, alike(i), there) > 0}
    elif most > 0:
        better = {i for i in open_ones if gain(i, fold(i, form).split(), known) > 0}
    if not better:
        return as_written
    shown = max(sorted(better), key=items.__getitem__)
    words = fold(shown, form).split() if form else alike(shown)
    return Fit(
        total,
        sum(items[item] for item in fits - better),
        sum(items[item] for item in better),
        form,
        (shown, " ".join(words if form else (there.get(word, word) for word in words))),
        # Never sure of punctuation: the apostrophe of `lovers'` may be right, though not in these.
        bool(form) and "punctuation" not in form and all(fold(w, form) == w for w in known),
    )


def _sampled(items: Sequence[str]) -> tuple[float, Sequence[str]]:
    """Evenly spaced sample of items, after the number of items that each of them stands for."""
    some = items[:: -(-len(items) // SAMPLE) or 1]
    return len(items) / max(1, len(some)), some


def _joined(folds: Sequence[Fold], more: Sequence[Fold]) -> tuple[Fold, ...]:
    """Union of both; the case of `more` replaces that of `folds`."""
    cases = {"lower", "upper"}
    kept = [name for name in folds if not (name in cases and cases & set(more))]
    return tuple(dict.fromkeys((*kept, *more)))


def bare(text: str) -> str:
    """Text without case and punctuation, to compare texts whatever their form."""
    if text.isascii() and text.isalnum():
        return text.lower()
    return fold(unicodedata.normalize("NFKC", text).casefold(), ("punctuation",))
