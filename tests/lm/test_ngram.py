"""Word n-grams: probabilities by hand, and what a broken ARPA file is told."""

import gzip
import math
import re
import zlib
from pathlib import Path

import pytest

from speechllm.errors import DataError
from speechllm.lm.arpa import read_arpa, write_arpa
from speechllm.lm.kneser_ney import estimate
from speechllm.lm.ngram import BEGIN, END, LN10, NOT_THERE, UNKNOWN, NGram

ARPA = r"""made by hand

\data\
ngram 1=4
ngram 2=2

\1-grams:
-99	<s>	-0.5
-0.4	</s>
-0.6	cow	-0.2
-1.0	grass

\2-grams:
-0.1	<s> cow
-0.3	cow grass

\end\
"""


def write(path: Path, text: str = ARPA) -> Path:
    path.write_text(text)
    return path


def test_probabilities_and_back_off_are_those_of_the_file(tmp_path: Path) -> None:
    model = read_arpa(write(tmp_path / "x.arpa"))
    assert model.order == 2
    assert model.log_prob((BEGIN,), "cow") == pytest.approx(-0.1 * LN10)
    assert model.log_prob((BEGIN,), "grass") == pytest.approx((-0.5 - 1.0) * LN10)
    assert model.log_prob(("grass",), "cow") == pytest.approx(-0.6 * LN10)  # no weight is 1
    assert model.log_prob(("grass", "cow"), END) == pytest.approx((-0.2 - 0.4) * LN10)
    assert model.score(["cow", "grass"]) == pytest.approx((-0.1 - 0.3 - 0.4) * LN10)
    assert model.score(["cow", "grass"], end=False) == pytest.approx((-0.1 - 0.3) * LN10)
    assert model.log_prob((BEGIN,), "sheep") == NOT_THERE * LN10


def test_an_unknown_word_is_the_models_own_unk_also_as_history(tmp_path: Path) -> None:
    text = ARPA.replace("1=4", "1=5").replace("2=2", "2=3")
    text = text.replace("-1.0	grass\n", "-1.0	grass\n-2.0	<unk>	-0.7\n")
    model = read_arpa(
        write(tmp_path / "x.arpa", text.replace("<s> cow", "<unk> cow\n-0.9	<s> cow"))
    )
    assert model.log_prob((), "sheep") == pytest.approx(-2.0 * LN10)
    assert model.log_prob(("sheep",), "cow") == pytest.approx(-0.1 * LN10)
    assert model.log_prob(("sheep",), "grass") == pytest.approx((-0.7 - 1.0) * LN10)


LOOSE = (
    "\ufeffmade by another tool\r\n\\data \\ is not yet the beginning\n\n\\data\\ \n"
    "ngram 1= 6\nngram  2 =\t4\nngram 3=1\n\n\n\\1-grams:\n\n"
    "-1e+00 <unk>\n-99 <s> -3e-1\n-inf\tnever\t-Inf\n"
    "-1.0\t</s>\n-.5  cow\t 0.25\n-7.5E-1\t7\n\n"
    "\\2-grams:\n-0.2\t<s> cow\n-0.1 cow 7\t-99\n1e-6\t7 </s>\n-0.4 7 cow\n\n"
    "\\3-grams:\n-0.05 grass 7 cow\t0.0\n\n\\end\\\nand more\n"
)


def test_what_tools_may_write_is_read_right(tmp_path: Path) -> None:
    """Tabs or blanks, blank lines, exponents, -inf, weights that are missing, positive, or 0 behind
    the longest n-grams; a word that is a number; a context that the model lacks."""
    model = read_arpa(write(tmp_path / "x.arpa", LOOSE))
    assert [len(table) for table in model.entries] == [6, 4, 1]
    for history, word, log10 in [
        ((BEGIN,), "cow", -0.2),
        ((BEGIN,), "7", -0.3 - 0.75),
        ((BEGIN,), "sheep", -0.3 - 1.0),
        (("cow",), "cow", 0.25 - 0.5),
        (("cow",), "7", -0.1),
        ((BEGIN, "cow"), "7", -0.1),  # the weight of "<s> cow" is missing
        (("cow", "7"), "cow", -99 - 0.4),
        (("7",), END, 0.0),
        (("7",), "7", -0.75),
        (("sheep", "7"), "cow", -0.4),  # no context "<unk> 7"
        (("cow", "never"), "7", -99 - 0.75),
        ((), "never", -99),
    ]:
        assert model.log_prob(history, word) == pytest.approx(log10 * LN10), (history, word)
    assert model.score(["cow", "7"]) == pytest.approx((-0.2 - 0.1 - 99) * LN10)


def test_a_no_break_space_is_part_of_a_word(tmp_path: Path) -> None:
    model = read_arpa(write(tmp_path / "x.arpa", ARPA.replace("grass", "10\u00a0grams")))
    assert model.log_prob(("cow",), "10\u00a0grams") == pytest.approx(-0.3 * LN10)


def test_orders_that_hold_nothing_may_be_left_out(tmp_path: Path) -> None:
    text = ARPA.replace("ngram 2=2", "ngram 2=2\nngram 3=0")
    assert read_arpa(write(tmp_path / "x.arpa", text)).order == 3
    text = text.replace("\\end\\", "\\3-grams:\n\n\\end\\")
    model = read_arpa(write(tmp_path / "y.arpa", text))
    assert model.log_prob((BEGIN, "cow"), "grass") == pytest.approx(-0.3 * LN10)


def test_unigrams_alone_are_a_model_also_without_a_beginning(tmp_path: Path) -> None:
    text = "\\data\\\nngram 1=3\n\\1-grams:\n-0.5 </s>\n-0.3 cow\n-1.2 <unk>\n\\end\\\n"
    model = read_arpa(write(tmp_path / "x.arpa", text))
    assert model.score(["cow", "sheep"]) == pytest.approx((-0.3 - 1.2 - 0.5) * LN10)
    assert model.prefix_log_prob((BEGIN, "cow"), "co") == pytest.approx(-0.3 * LN10)


def test_without_a_beginning_nothing_stands_before_the_first_word(tmp_path: Path) -> None:
    text = ARPA.replace("-99\t<s>\t-0.5", "-2.0\t<unk>\t-0.7").replace("<s> cow", "<unk> cow")
    model = read_arpa(write(tmp_path / "x.arpa", text))
    assert model.log_prob((BEGIN,), "cow") == pytest.approx(-0.6 * LN10)
    assert model.log_prob(("sheep",), "cow") == pytest.approx(-0.1 * LN10)


@pytest.mark.parametrize(
    ("begin", "end", "unknown"),
    [
        ("<s>", "</s>", "<unk>"),
        ("<S>", "</S>", "<UNK>"),
        ("<s>", "</S>", "<Unk>"),
        ("<s>", "</s>", "[UNK]"),
        ("<s>", "</s>", "<oov>"),
        ("<s>", "</s>", "<OOV>"),
        ("<s>", "</s>", "<unknown>"),
        ("<s>", "</s>", "!!UNK"),
        ("<s>", "</s>", "<unk/>"),
        ("<s>", "</s>", "@UNK@"),
        ("<s>", "</s>", "<unknown_word>"),
        ("<s>", "</s>", "__unk__"),
        ("<s>", "</s>", "UNK"),
    ],
)
def test_the_marks_of_a_model_may_have_other_names(
    tmp_path: Path, begin: str, end: str, unknown: str
) -> None:
    text = ARPA.replace("1=4", "1=5").replace("2=2", "2=3")
    text = text.replace("grass\n\n", "grass\n-2.0\t<unk>\t-0.7\n\n", 1)
    text = text.replace("-0.1\t<s> cow", "-0.1\t<s> cow\n-0.9\t<unk> </s>")
    names = {"<s>": begin, "</s>": end, "<unk>": unknown}
    for name, other in names.items():
        text = text.replace(name, other)
    model = read_arpa(write(tmp_path / "x.arpa", text))
    assert model.score(["cow", "sheep"]) == pytest.approx((-0.1 - 0.2 - 2.0 - 0.9) * LN10)
    assert model.prefix_log_prob((BEGIN,), "u") == model.log_prob((BEGIN,), UNKNOWN)


def test_a_word_that_looks_like_a_mark_stays_a_word(tmp_path: Path) -> None:
    text = ARPA.replace("1=4", "1=6").replace("grass\n\n", "grass\n-3\t'unk\n-4\tunknown\n\n", 1)
    model = read_arpa(write(tmp_path / "x.arpa", text))
    assert model.log_prob((), "unknown") == pytest.approx(-4 * LN10)
    assert model.log_prob((), "sheep") == NOT_THERE * LN10
    both = text.replace("'unk", "<unk>").replace("\tunknown", "\t<UNK>")
    assert read_arpa(write(tmp_path / "y.arpa", both)).log_prob((), "sheep") == -3 * LN10


def test_written_and_read_again_it_is_the_same_also_gzipped(tmp_path: Path) -> None:
    model = read_arpa(write(tmp_path / "x.arpa"))
    write_arpa(tmp_path / "y.arpa", model)
    (tmp_path / "y.arpa.gz").write_bytes(gzip.compress((tmp_path / "y.arpa").read_bytes()))
    assert read_arpa(tmp_path / "y.arpa").entries == model.entries
    assert read_arpa(tmp_path / "y.arpa.gz").entries == model.entries


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("\\data\\\n", "\\dada\\\n", None, "no line \\data\\"),
        ("ngram 1=4\n", "ngram 1:4\n", 4, "expected 'ngram ORDER=COUNT'"),
        ("ngram 1=4\n", "", 4, "expected the count of order 1"),
        ("ngram 1=4\nngram 2=2\n", "", 5, "announces no n-grams"),
        ("ngram 1=4\n", "ngram 1=5\n", 13, "\\1-grams: holds 4 n-grams, the header says 5"),
        ("\\2-grams:", "\\3-grams:", 13, "expected \\2-grams:"),
        ("\\end\\", "\\3-grams:", 17, "expected \\end\\ after 2 announced orders"),
        ("-0.6	cow", "minus	cow", 10, "'minus' is no number"),
        ("-0.6	cow	-0.2", "-0.6	cow	nan", 10, "'nan' is no number"),
        ("-0.3	cow grass", "-0.3	cow", 15, "expected a log10 probability and 2 words"),
        (
            "-0.3	cow grass",
            "-0.3	cow grass	-0.1",
            15,
            "expected a log10 probability and 2 words",
        ),
        ("-1.0	grass", "0.5	grass", 11, "at most 0"),
        ("-0.6	cow	-0.2", "-0.6	cow	inf", 10, "'inf' is no number"),
        ("-0.3	cow grass", "-0.3	cow grass grass", 15, "expected a log10"),
        ("-1.0	grass", "-1.0	cow", 11, "stands twice"),
        ("\\end\\\n", "", 17, "without \\end\\"),
        ("</s>", "<end>", None, "no unigram </s>"),
    ],
)
def test_a_broken_file_is_refused_with_the_line(
    tmp_path: Path, old: str, new: str, line: int | None, said: str
) -> None:
    path = write(tmp_path / "x.arpa", ARPA.replace(old, new, 1))
    place = f"{path}:{line}: " if line else f"{path}: "
    with pytest.raises(DataError, match=f"^{re.escape(place)}.*{re.escape(said)}"):
        read_arpa(path)


def test_what_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.arpa").write_bytes(b"\\data\\\nngram 1=1\n\\1-grams:\n-1\t\xff\n")
    with pytest.raises(DataError, match="UTF-8"):
        read_arpa(tmp_path / "x.arpa")
    with pytest.raises(DataError, match="no such file"):
        read_arpa(tmp_path / "none.arpa")
    with pytest.raises(DataError, match=r"x\.gz:1: gzip file is damaged"):
        read_arpa(write(tmp_path / "x.gz"))


SENTENCES = [s.split() for s in ("a b a b c", "a b c", "b c a", "c", "a b a a b c a")]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_behind_any_history_sum_to_one(order: int) -> None:
    model = estimate(SENTENCES, order)
    words = ["a", "b", "c", END, UNKNOWN]
    for history in [(BEGIN,), ("a",), ("a", "b"), ("c", "c"), ("new",), (BEGIN, "a", "b"), ()]:
        total = sum(math.exp(model.log_prob(history, word)) for word in words)
        assert total == pytest.approx(1, abs=1e-6), history


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_prefix_is_as_likely_as_all_words_that_begin_so(order: int) -> None:
    model = estimate([["ba", "bb", "c"], ["ba", "ca", "bb"], ["c", "bab"]], order)
    words = ["ba", "bb", "bab", "c", "ca"]
    for history in [(BEGIN,), (BEGIN, "ba"), ("c",), ("new", "c"), ("bb", "bb")]:
        for prefix in ("b", "ba", "bab", "c", "bb"):
            wanted = sum(
                math.exp(model.log_prob(history, w)) for w in words if w.startswith(prefix)
            )
            assert math.exp(model.prefix_log_prob(history, prefix)) == pytest.approx(wanted)
        assert model.prefix_log_prob(history, "x") == model.log_prob(history, "x")


def test_kneser_ney_by_hand() -> None:
    """Bigrams of "a b" and "a c", with the fallback discounts 0.5, 1, 1.5.

    Words before: a 1 (<s>), b 1, c 1, </s> 2 (b, c): together 5. Given away by unigrams:
    (3 x 0.5 + 1) / 5 = 0.5, to five words (a, b, c, </s>, <unk>), 0.1 each.
    """
    model = estimate([["a", "b"], ["a", "c"]], 2)
    unigram = {"a": 0.5 / 5 + 0.1, "b": 0.2, "c": 0.2, END: (2 - 1) / 5 + 0.1, UNKNOWN: 0.1}
    for word, p in unigram.items():
        assert math.exp(model.log_prob((), word)) == pytest.approx(p)
    # a b: 1 of 2 behind a, 0.5 off; behind a, 2 x 0.5 / 2 = 0.5 is given to the unigrams.
    assert math.exp(model.log_prob(("a",), "b")) == pytest.approx(0.25 + 0.5 * 0.2)
    assert math.exp(model.log_prob(("a",), END)) == pytest.approx(0.5 * 0.3)
    # <s> a: 2 of 2, 1 off.
    assert math.exp(model.log_prob((BEGIN,), "a")) == pytest.approx(0.5 + 0.5 * 0.2)


def test_modified_discounts_by_hand() -> None:
    """Unigram counts 1 1 1 1 2 2 3 4, so Y = 4 / (4 + 2 x 2); with <unk> there are nine words."""
    sentence = [*"pqrssttuuuvvvv"]
    model = estimate([sentence], 1)
    y = 4 / (4 + 2 * 2)
    d1, d3 = 1 - 2 * y * 2 / 4, 3 - 4 * y * 1 / 1
    d2 = 2 - 3 * y * 1 / 2
    given = (4 * d1 + 2 * d2 + 2 * d3) / 15 / 9
    assert math.exp(model.log_prob((), "p")) == pytest.approx((1 - d1) / 15 + given)
    assert math.exp(model.log_prob((), "s")) == pytest.approx((2 - d2) / 15 + given)
    assert math.exp(model.log_prob((), "v")) == pytest.approx((4 - d3) / 15 + given)


def test_an_estimate_survives_its_arpa_file(tmp_path: Path) -> None:
    model = estimate(SENTENCES, 3)
    write_arpa(tmp_path / "x.arpa", model)
    again: NGram = read_arpa(tmp_path / "x.arpa")
    for sentence in [*SENTENCES, ["c", "new", "a"]]:
        assert again.score(sentence) == pytest.approx(model.score(sentence), abs=1e-4)


def test_no_sentence_is_no_model() -> None:
    with pytest.raises(ValueError, match="no sentence"):
        estimate([], 3)


def test_a_flipped_bit_of_a_gzipped_file_is_an_error_with_a_line(tmp_path: Path) -> None:
    whole = gzip.compress(b"\\data\\\nngram 1=2\n\n\\1-grams:\n-1\ta\n-1\t</s>\n\n\\end\\\n")
    path, seen = tmp_path / "x.arpa.gz", set()
    for place in range(len(whole)):
        for damaged in (
            whole[:place],
            whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :],
        ):
            path.write_bytes(damaged)
            try:
                read_arpa(path)
            except DataError as error:
                seen.add(type(error.__cause__))
                assert "x.arpa.gz" in str(error)
    assert {zlib.error, EOFError, gzip.BadGzipFile} <= seen
