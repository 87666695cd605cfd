import random
import subprocess
import sys
import time

import jiwer
import pytest

from speechllm.errors import SpeechLLMError
from speechllm.score.count.wer import Counts, score_texts
from tests.helpers.paths import ROOT


def random_texts(count: int, seed: int = 0) -> tuple[dict[str, str], dict[str, str]]:
    """References of 1-12 words, and hypotheses with words deleted, replaced and inserted."""
    rng = random.Random(seed)
    vocabulary = [f"{a}{b}" for a in "abcdefgh" for b in ("an", "oe", "i")]
    references, hypotheses = {}, {}
    for number in range(count):
        words = rng.choices(vocabulary, k=rng.randint(1, 12))
        heard = []
        for word in words:
            other = rng.choice(vocabulary)
            heard += rng.choices([[word], [], [other], [word, "oh"]], [8, 1, 1, 1])[0]
        references[f"utt{number:05d}"] = " ".join(words)
        hypotheses[f"utt{number:05d}"] = " ".join(heard)
    return references, hypotheses


def test_hand_made_case():
    score = score_texts({"u1": "a b c d", "u2": "e f"}, {"u1": "a x c", "u2": "e f g"})
    first, second = score.utterances
    assert first.words == Counts(hits=2, substitutions=1, deletions=1)
    assert first.pairs == (("a", "a"), ("b", "x"), ("c", "c"), ("d", None))
    assert second.pairs == (("e", "e"), ("f", "f"), (None, "g"))
    assert score.words == Counts(4, 1, 1, 1)
    assert score.words.percent == pytest.approx(100 * 3 / 6)
    assert score.sentence_percent == 100
    # "a b c d" -> "a x c": b -> x, " " and "d" deleted; "e f" -> "e f g": " " and "g" inserted.
    assert score.characters == Counts(hits=7, substitutions=1, deletions=2, insertions=2)
    assert score.words.summary() == "%WER 50.00 [ 3 / 6, 1 ins, 1 del, 1 sub ]"


def test_equal_to_jiwer_on_random_text():
    references, hypotheses = random_texts(300)
    score = score_texts(references, hypotheses)
    ours, theirs = list(references.values()), list(hypotheses.values())
    words, characters = jiwer.process_words(ours, theirs), jiwer.process_characters(ours, theirs)
    assert score.words == Counts(words.hits, words.substitutions, words.deletions, words.insertions)
    assert score.words.percent == pytest.approx(100 * jiwer.wer(ours, theirs))
    assert score.characters.percent == pytest.approx(100 * characters.cer)
    for utterance in score.utterances:
        alone = jiwer.process_words(references[utterance.id], hypotheses[utterance.id])
        assert utterance.words.errors == alone.substitutions + alone.deletions + alone.insertions
        left = " ".join(ref for ref, _ in utterance.pairs if ref is not None)
        right = " ".join(hyp for _, hyp in utterance.pairs if hyp is not None)
        assert (left, right) == (references[utterance.id], hypotheses[utterance.id])


def test_a_missing_hypothesis_is_all_deletions_and_listed():
    score = score_texts({"u1": "a b", "u2": "c", "u3": "d"}, {"u2": "c", "u3": ""})
    assert score.missing == ("u1",)
    assert score.words == Counts(hits=1, deletions=3)
    assert score.wrong_utterances == 2


def test_empty_references_count_insertions_and_never_divide_by_zero():
    score = score_texts({"u1": "", "u2": "a b"}, {"u1": "x y", "u2": "a b"})
    assert score.words == Counts(hits=2, insertions=2)
    assert score.words.percent == 100
    assert score.utterances[0].words.percent is None
    silent = score_texts({"u1": "", "u2": ""}, {"u1": ""})
    assert silent.words.percent is None and silent.sentence_percent == 0
    assert silent.words.summary().startswith("%WER - [ 0 / 0")


def test_the_normalizer_is_applied_to_both_sides():
    texts = {"u1": "It's MISTER Smith."}, {"u1": "it's mr smith"}
    assert score_texts(*texts, "plain").words.errors == 3
    assert score_texts(*texts, "english").words.errors == 0


def test_order_of_the_inputs_does_not_matter():
    references, hypotheses = random_texts(20)
    backwards = dict(reversed(hypotheses.items()))
    assert score_texts(references, backwards) == score_texts(references, hypotheses)


def test_unknown_ids_are_refused_by_name():
    with pytest.raises(SpeechLLMError, match=r"2 \(x1, x2\)"):
        score_texts({"u1": "a"}, {"u1": "a", "x2": "b", "x1": "c"})
    with pytest.raises(SpeechLLMError, match="no references"):
        score_texts({}, {})


def test_twenty_thousand_utterances_take_seconds():
    references, hypotheses = random_texts(20_000)
    start = time.process_time()
    score_texts(references, hypotheses)
    assert time.process_time() - start < 20


def test_imports_neither_torch_nor_transformers():
    program = (
        "import sys, speechllm.score.word_scores, speechllm.report.results, "
        "speechllm.commands.score, speechllm.commands.report, speechllm.tasks.slu; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'matplotlib')))"
    )
    root = ROOT
    assert subprocess.run([sys.executable, "-c", program], cwd=root).returncode == 0
