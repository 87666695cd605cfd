"""Log how well bias lists and n-grams match the words of a set, once for each set."""

import logging
from collections.abc import Iterable

from speechllm.data.dirs.bias_lists import BiasLists
from speechllm.data.dirs.forms import compare, count_words, unlike, words_of_phrases
from speechllm.decode.decoder import Decoder
from speechllm.decode.scorers.ngram_scorer import NGramScorer

log = logging.getLogger(__name__)


def say_fits(
    decoder: Decoder,
    lists: BiasLists,
    name: str,
    texts: Iterable[str],
    where: str,
    level: int = logging.INFO,
) -> bool | None:
    """Log how well bias lists and n-grams match texts; warn if another case or form would match.

    Args:
        decoder: its n-gram scorers are checked.
        lists: bias lists of the set, not normalised; checked if the decoder uses them.
        name: name of the set.
        texts: transcripts or hypotheses of the set.
        where: which of the two, for messages.
        level: log level where no warning is needed.

    Returns:
        Whether there was no warning; None if the texts have no words.
    """
    texts = list(texts)
    words = count_words(texts)
    fine = True
    biasing = decoder.config.biasing
    if words and biasing and lists:
        fit = compare(dict.fromkeys(lists.entries, 1), words_of_phrases(texts), biasing.fold)
        folded = "folded " if biasing.fold else ""
        said = fit.says(f"{folded}entries of its bias lists", f"the {where}")
        if fit.is_odd(of_list=True):
            fold = fit.assignment("biasing.fold")
            remedy = f"give {fold}" if fold else f"write the lists as the {where} are"
            fine = False
            log.warning("%s: %s: %s", name, said, remedy)
        else:
            log.log(level, "%s: %s", name, said)
    for source in (*decoder.sources, *decoder.rescorers):
        if words and isinstance(source, NGramScorer):
            fit = compare(words, source.ngram.vocabulary, source.folds)
            folded = "folded " if source.folds else ""
            said = fit.says_unknown(f"{folded}words of the {where}", source.place)
            if fit.is_odd():
                fold = fit.assignment(f"{source.section}.fold")
                remedy = f"give {fold}" if fold else f"make it of text as the {where} are"
                fine = False
                log.warning("%s: %s: %s", name, said, remedy)
            else:
                log.log(level, "%s: %s", name, said)
    return fine if words else None


def say_form(name: str, hypotheses: Iterable[str], wanted: Iterable[str]) -> None:
    """Warn if hypotheses are written in another form than their references.

    Args:
        name: name of the set.
        hypotheses: its hypotheses.
        wanted: its references.
    """
    if said := unlike(hypotheses, count_words(wanted), "what they are compared with"):
        log.warning("%s: hypotheses: %s; errors by `plain`, as in tuning, count that", name, said)
