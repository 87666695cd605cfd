"""Text in the symbols of a CTC head: characters, phones of espeak, or phones of a lexicon."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from speechllm.data.dirs.forms import Fold, compare, count_words, fold
from speechllm.data.dirs.kaldi import first_ids
from speechllm.data.speech.synthesis.tts import espeak
from speechllm.errors import ConfigError
from speechllm.files.utf8 import read_text

Lexicon = dict[str, list[str]]
MOST_UNKNOWN = 0.05
"""Maximum share of symbols that are unknown to the head."""


def spell(
    text: Mapping[str, str],
    tokenizer: Any,
    accents: Sequence[str],
    lexicon: str | None,
    seed: int,
    folds: Sequence[Fold] = (),
) -> tuple[dict[str, list[int]], float]:
    """Spell texts with a lexicon if there is one, else by sound or by character.

    Args:
        text: texts by utterance id.
        tokenizer: tokenizer of the CTC head.
        accents: accents of espeak, one drawn for each utterance; empty for a head of characters.
        lexicon: file of lines `word symbol symbol ...`.
        seed: seed of the draw of accents.
        folds: foldings of words before they are looked up in the lexicon.

    Returns:
        Symbol ids by utterance id, without unknown ones, and the share of unknown ones.

    Raises:
        ConfigError: more than `MOST_UNKNOWN` of all symbols are unknown, a word is missing in
            the lexicon, or an utterance has no symbol at all.
    """
    if lexicon:
        words = read_lexicon(lexicon)
        folded = {u: fold(line, folds).split() for u, line in text.items()}
        if missing := sorted({w for line in folded.values() for w in line} - words.keys()):
            message = f"lexicon: {lexicon} lacks words of the target: {first_ids(missing)}"
            raise ConfigError(message, other_form(count_words(text.values()), words, folds))
        spelled = {u: [s for w in line for s in words[w]] for u, line in folded.items()}
        ids = _to_ids(spelled, tokenizer)
    elif accents:
        draw = {u: random.Random(f"accent {seed} {u}").choice(list(accents)) for u in text}
        spelled = {u: espeak().phones(line, draw[u]) for u, line in text.items()}
        ids = _to_ids(spelled, tokenizer)
    else:
        ids = _characters(text, tokenizer)
    known = {u: [i for i in line if i != tokenizer.unk_token_id] for u, line in ids.items()}
    unknown = 1 - sum(map(len, known.values())) / max(1, sum(map(len, ids.values())))
    if unknown > MOST_UNKNOWN:
        raise ConfigError(
            f"the encoder's CTC head does not know {unknown:.0%} of the target's symbols",
            "give a lexicon in the head's symbols, or an encoder for this language",
        )
    if silent := [utt for utt, line in known.items() if not line]:
        raise ConfigError(f"utterances without any CTC symbol: {first_ids(silent)}")
    return known, unknown


def other_form(
    asked: Mapping[str, int], lexicon: Lexicon, folds: Sequence[Fold], key: str = "fold"
) -> str | None:
    """Remedy if a lexicon has the words in another form; None if it has not.

    Args:
        asked: number of times each word is needed.
        lexicon: lexicon in which the words are looked up.
        folds: foldings of the words that are applied already.
        key: config key of the foldings.
    """
    fit = compare(asked, lexicon, folds)
    if not fit.is_odd():
        return None
    setting = fit.assignment(key)
    said = fit.says_unknown("words", "the lexicon")
    return f"{said}: {f'give {setting}' if setting else 'write both alike'}"


def spell_words(
    words: Iterable[str],
    tokenizer: Any,
    by_sound: bool,
    accent: str,
    lexicon: Lexicon | None,
    folds: Sequence[Fold] = (),
) -> dict[str, list[int]]:
    """Spell single words, one by one; unlike `spell`, what cannot be spelled is left out.

    Args:
        words: words or phrases, in any language.
        tokenizer: tokenizer of the CTC head.
        by_sound: whether the head's symbols are phones.
        accent: accent of espeak, for phones.
        lexicon: lexicon to use instead of espeak or characters; a phrase has the symbols of its
            words.
        folds: as in `spell`.

    Returns:
        Symbol ids by word; empty for a word that the lexicon lacks, or of unknown symbols alone.
    """
    words = list(dict.fromkeys(words))
    if lexicon is not None:
        spelled = {}
        for word in words:
            parts = fold(word, folds).split()
            known = all(part in lexicon for part in parts)
            spelled[word] = [s for part in parts for s in lexicon[part]] if known else []
        ids = _to_ids(spelled, tokenizer)
    elif by_sound:
        ids = _to_ids({word: espeak().phones(word, accent) for word in words}, tokenizer)
    else:
        ids = {word: _characters({word: word}, tokenizer)[word] for word in words}
    return {w: [i for i in line if i != tokenizer.unk_token_id] for w, line in ids.items()}


def read_lexicon(path: str) -> Lexicon:
    """Read a lexicon of lines `word symbol symbol ...`; a word's first pronunciation counts.

    Raises:
        ConfigError: the file cannot be read, or a word has no symbols.
    """
    lines = read_text(path, ConfigError, "lexicon").split("\n")
    words: Lexicon = {}
    for number, (word, *symbols) in enumerate((s.split() for s in lines if s.strip()), 1):
        if not symbols:
            raise ConfigError(f"lexicon: {path}: entry {number}, {word}, has no symbols")
        words.setdefault(word, symbols)
    return words


def _to_ids(spelled: Mapping[str, Iterable[str]], tokenizer: Any) -> dict[str, list[int]]:
    vocabulary, unknown = tokenizer.get_vocab(), tokenizer.unk_token_id
    return {u: [vocabulary.get(s, unknown) for s in line] for u, line in spelled.items()}


def _characters(text: Mapping[str, str], tokenizer: Any) -> dict[str, list[int]]:
    """Symbol ids of the texts' characters, in the case with the fewest unknown ones."""
    best: dict[str, list[int]] = {}
    fewest = None
    for case in (str, str.lower, str.upper):
        ids = {utt: tokenizer(case(line)).input_ids for utt, line in text.items()}
        unknown = sum(line.count(tokenizer.unk_token_id) for line in ids.values())
        if fewest is None or unknown < fewest:
            best, fewest = ids, unknown
    return best
