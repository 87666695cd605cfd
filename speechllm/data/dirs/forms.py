"""How words are written: their case, their punctuation, their Unicode form.

Bias lists, language models, lexicons, training text: all of them meet transcripts word by word, and
a word in another form is another word, which never matches and says nothing. Whoever compares a
resource with texts asks `compare` what part of it stands there as it is written, and what would in
another form.
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
"""In a config: one of them or a list; all that is folded is composed (Unicode NFC)."""

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
"""What `compare` tries; of equally good ones the first."""
MUCH = 0.05
"""Of all that stands in the texts in some form, the part in another one that is worth a warning."""
MUCH_MIXED = 0.25
"""The same where no folding makes it fit. Two texts with capitals and punctuation, both written
alike, have up to an eighth: `stones` is in the one, `stones?` in the other."""
SAMPLE = 2000
"""Items by which the form is chosen, of those that fit and of those that do not."""
CLOSING = '.,;:!?\u2026)]}"\u201d\u00bb\u3002\uff0c\u3001\uff1b\uff1a\uff1f\uff01'
"""Marks that end a word, so that it is the same word with them."""
_MARKS = re.compile(r"[^\w\s]|_")
_CURLY = re.compile("[\u2018\u2019\u02bc]")


def fold(text: str, folds: Iterable[Fold]) -> str:
    """A text in another form, with single blanks; as it is where there is nothing to be folded."""
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
    """How often each word stands in texts."""
    return Counter(word for text in texts for word in text.split())


def words_of_phrases(texts: Iterable[str]) -> set[str]:
    """Words of texts that an entry of a bias list may be: as they are, and without what follows."""
    words = {word for text in texts for word in text.split()}
    return words | {word.rstrip(CLOSING) for word in words} - {""}


def unlike(texts: Iterable[str], known: Collection[str], where: str) -> str | None:
    """Say how far texts are written otherwise than others, one sentence; None if they are not.

    Args:
        texts: which should be written as the others are.
        known: words of the others.
        where: these others.
    """
    fit = compare(count_words(texts), known)
    return fit.says("words", where) if fit.is_odd() else None


@dataclass(frozen=True)
class Fit:
    """What part of some items stands in texts.

    Attributes:
        total: items.
        fits: those that stand there as they are written; of a phrase, one word is enough.
        would: those of which more would in another form.
        folds: that form; empty where no folding of all items makes it, as in texts with mixed case.
        example: one of them, and what it is there.
        sure: the texts are wholly in that case, so that not one of these can be meant.
    """

    total: int
    fits: int
    would: int = 0
    folds: tuple[Fold, ...] = ()
    example: tuple[str, str] = ("", "")
    sure: bool = False

    @property
    def unknown(self) -> int:
        """Items that do not stand there as they are written."""
        return self.total - self.fits

    @property
    def unknown_percent(self) -> float:
        """Their share, to one digit."""
        return round(100 * self.unknown / max(1, self.total), 1)

    def is_odd(self, of_list: bool = False) -> bool:
        """Whether so much would fit in another form that somebody has to know.

        Args:
            of_list: the items were chosen one by one, so that each counts where it is `sure`.
        """
        least = (MUCH if self.folds else MUCH_MIXED) * (self.fits + self.would)
        return self.would > 0 and (self.would >= least or (of_list and self.sure))

    def says(self, items: str, where: str) -> str:
        """The finding of a list, as one sentence without its end."""
        found = f"{self.fits:,} of {self.total:,} {items} stand in {where} as they are written"
        return f"{found}, {self.would:,} more would {self._form}" if self.would else found

    def says_unknown(self, words: str, where: str) -> str:
        """The finding of a text, as one sentence without its end."""
        percent = f"{self.unknown_percent} %"
        found = f"{self.unknown:,} of {self.total:,} {words} ({percent}) are unknown to {where}"
        return f"{found}, {self.would:,} of them are known {self._form}" if self.would else found

    @property
    def _form(self) -> str:
        """The form in which more would fit, in words, with an example."""
        form = " and ".join(SAYS[name] for name in self.folds) or "in another form"
        # Two forms of Unicode look alike.
        alike = len({unicodedata.normalize("NFC", side) for side in self.example}) == 1
        ours, theirs = map(ascii if alike else repr, self.example)
        return f"{form} ({ours} is {theirs} there)"

    def assignment(self, key: str) -> str:
        """The setting that folds the items, e.g. `biasing.fold=lower`; "" where none does."""
        if len(self.folds) > 1:
            return f"'{key}=[{','.join(self.folds)}]'"
        return f"{key}={self.folds[0]}" if self.folds else ""


def compare(items: Mapping[str, int], known: Collection[str], folds: Sequence[Fold] = ()) -> Fit:
    """Compare words and phrases with words, as they are written and in other forms.

    An item fits if any of its words is known, and no more of them are in the other form.

    Args:
        items: how often each counts.
        known: words of the texts, or of a vocabulary.
        folds: of the items, which are done already.
    """
    known = known if isinstance(known, (set, frozenset, dict)) else set(known)
    total = sum(items.values())
    split = {item: fold(item, folds).split() for item in items}
    found = {item: sum(word in known for word in words) for item, words in split.items()}
    fits = {item for item, number in found.items() if number}
    open_ones = [item for item, number in found.items() if number < len(split[item])]
    as_written = Fit(total, sum(items[item] for item in fits))

    def gain(item: str, words: Sequence[str], vocabulary: Collection[str]) -> float:
        """By which share of its words more of the item is known in this form; or less."""
        now = sum(word in vocabulary for word in words)
        if 0 < now < len(words) and len(words) != len(split[item]):
            return 0.0  # what was one word and is cut into several is known if all of them are
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

    if net(alike, there) > max(0, 2 * most):  # texts of no one form
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
        # Not of marks: the apostrophe of `lovers'` may be spelling that these texts do not need.
        bool(form) and "punctuation" not in form and all(fold(w, form) == w for w in known),
    )


def _sampled(items: Sequence[str]) -> tuple[float, Sequence[str]]:
    """Some of many, evenly, and how many each of them stands for."""
    some = items[:: -(-len(items) // SAMPLE) or 1]
    return len(items) / max(1, len(some)), some


def _joined(folds: Sequence[Fold], more: Sequence[Fold]) -> tuple[Fold, ...]:
    """Both, the latter's case instead of the former's."""
    cases = {"lower", "upper"}
    kept = [name for name in folds if not (name in cases and cases & set(more))]
    return tuple(dict.fromkeys((*kept, *more)))


def bare(text: str) -> str:
    """A text without case and punctuation, to find out whether it is the same at all."""
    if text.isascii() and text.isalnum():
        return text.lower()
    return fold(unicodedata.normalize("NFKC", text).casefold(), ("punctuation",))
