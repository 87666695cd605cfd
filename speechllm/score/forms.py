"""Warnings of words that a normaliser leaves in another form than the references', never equal.

Hypotheses, entities, bias lists and training text are compared with the references, and the words
of a file of rules with the texts. A warning says what would be equal in another case, without
punctuation or in another Unicode form.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from speechllm.data.dirs.forms import compare, count_words
from speechllm.score.count.wer import WordScore
from speechllm.score.inputs import ScoreInputs
from speechllm.score.normalize.rules import Normalizer

REMEDY = "write both alike, or score with --normalizer english or a file of rules that folds them"


def form_warnings(
    score: WordScore, inputs: ScoreInputs, frequencies: Mapping[str, int] | None
) -> Iterator[str]:
    """Yield a warning of each input that is in another form than the references after normalising.

    Args:
        score: word score of the set.
        inputs: see `ScoreInputs`.
        frequencies: counts of the words of the training text; None without one.
    """
    said, heard = Counter[str](), Counter[str]()
    for (reference, hypothesis), number in score.pairs.items():
        if reference is not None:
            said[reference] += number
        if hypothesis is not None:
            heard[hypothesis] += number
    entities = {e["text"] for listed in (inputs.entities or {}).values() for e in listed}
    for items, what in (
        (heard, "words of the hypotheses"),
        (_normalized(entities, score.normalizer), "entities"),
        (_normalized(inputs.biasing.entries, score.normalizer), "entries of the bias lists"),
    ):
        fit = compare(items, said)
        if fit.is_odd():
            yield f"{fit.says(what, 'the references')}: {REMEDY}"
    if frequencies is not None:
        fit = compare(said, frequencies)
        if fit.is_odd():
            yield f"{fit.says_unknown('reference words', 'the training text')}: {REMEDY}"
    texts = [*inputs.references.values(), *inputs.hypotheses.values()]
    yield from _idle_rules(score.normalizer, texts)


def _normalized(texts: Iterable[str], normalize: Normalizer) -> Counter[str]:
    return Counter({normalize(text): 1 for text in texts})


def _idle_rules(normalizer: Normalizer, texts: Iterable[str]) -> Iterator[str]:
    """Yield a warning of each rule that looks for a form that the rules before it do not leave."""
    texts = list(texts)
    left = sum(bool(rule.words or rule.pattern) for rule in normalizer.rules)
    for rule in normalizer.rules if left else ():
        if rule.words:
            fit = compare(dict.fromkeys(rule.words, 1), count_words(texts))
            if fit.is_odd(of_list=True):
                said = fit.says("words to be mapped", "the texts")
                yield f"rule `{rule.says}`: {said}: write them as the rules before leave the texts"
        if rule.pattern and _matches_in_another_case(rule.pattern, texts):
            yield (
                f"rule `{rule.says}`: matches nothing, and would without case: write it as the "
                "rules before leave the texts, or begin it with (?i)"
            )
        left -= bool(rule.words or rule.pattern)
        if not left:
            return
        texts = [rule.apply(text) for text in texts]


def _matches_in_another_case(pattern: re.Pattern[str], texts: Sequence[str]) -> bool:
    """Whether texts that are all in one case match the pattern in the other case only."""
    if not any(all(text == form(text) for text in texts) for form in (str.lower, str.upper)):
        return False
    without_case = re.compile(pattern.pattern, pattern.flags | re.IGNORECASE)
    return not any(map(pattern.search, texts)) and any(map(without_case.search, texts))
