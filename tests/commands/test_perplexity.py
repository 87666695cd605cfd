"""Perplexity under an n-gram: by hand, and what it says of words that the n-gram lacks."""

import json
import logging
from pathlib import Path

import pytest

from speechllm.cli import main
from speechllm.data.dirs.kaldi import write_data_dir
from speechllm.errors import DataError
from speechllm.files.made_from import check_seal

ARPA = """\\data\\
ngram 1=6
ngram 2=2

\\1-grams:
-1.5 <unk>
-99 <s> -0.3
-1.0 </s>
-0.8 {we} -0.2
-0.7 {home}
-0.6 {safe}

\\2-grams:
-0.2 <s> {we}
-0.1 {home} {safe}

\\end\\
"""
WORDS = ("we", "home", "safe")
TEXT = {"u1": "we home safe", "u2": "home nope"}
RIGHT = 0.2 + (0.2 + 0.7) + 0.1 + 1.0 + (0.3 + 0.7) + 1.5 + 1.0
UNKNOWN = (0.3 + 1.5) + 1.5 + 1.5 + 1.0 + (0.3 + 1.5) + 1.5 + 1.0


@pytest.fixture
def measure(tmp_path: Path, capsys, monkeypatch):
    """Run the command on an ARPA file whose words are in some form: the line, and the figures."""
    monkeypatch.chdir(tmp_path)
    write_data_dir("data", text=TEXT)
    Path("base").mkdir()

    def run(form, *options: str) -> tuple[str, dict]:
        Path("x.arpa").write_text(ARPA.format(**{word: form(word) for word in WORDS}))
        main(["perplexity", "--model", "base", "--lm", "x.arpa", "--data", "data", *options])
        return capsys.readouterr().out, json.loads(Path("perplexity.json").read_text())["data"]

    return run


def test_the_share_of_unknown_words_is_said(measure, caplog) -> None:
    line, figures = measure(str)
    assert figures["text"]["word"] == pytest.approx(10 ** (RIGHT / 7), abs=1e-3)
    assert (figures["text"]["unknown"], figures["text"]["unknown_percent"]) == (1, 20.0)
    assert "1 of its words (20.0 %) are unknown" in line
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_damaged_figures_are_measured_anew(measure, caplog) -> None:
    _, figures = measure(str)
    path = Path("perplexity.json")
    for damaged in (path.read_text().replace("20.0", "30.0"), "{"):
        path.write_text(damaged)
        assert measure(str)[1] == figures
        assert "perplexity.json is not what was written: made anew" in caplog.text
    path.write_text(path.read_text().replace("20.0", "30.0"))
    with pytest.raises(DataError, match=r"is not what was written\n  -> rm perplexity.json, then"):
        check_seal(path)


@pytest.mark.parametrize(
    ("form", "fold"), [(str.upper, ["upper"]), (lambda word: word.upper(), ["upper", "nfc"])]
)
def test_an_arpa_in_another_case_is_said_each_time_and_folded_if_asked(
    measure, caplog, form, fold: list[str]
) -> None:
    for _ in range(2):  # the second time the figures are read
        caplog.clear()
        _, figures = measure(form)
        assert figures["text"]["word"] == pytest.approx(10 ** (UNKNOWN / 7), abs=1e-3)
        assert "5 of 5 words (100.0 %) are unknown to x.arpa, 4 of them are known in capitals" in (
            caplog.text
        )
        assert caplog.text.rstrip().endswith("('home' is 'HOME' there): give --fold upper")
    caplog.clear()
    _, figures = measure(form, "--fold", *fold)
    assert figures["text"]["word"] == pytest.approx(10 ** (RIGHT / 7), abs=1e-3)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_fold_without_an_lm_is_refused(measure, capsys) -> None:
    measure(str)
    for options in (["--model", "base", "--fold", "lower"], ["--model", "none", "--lm", "x.arpa"]):
        with pytest.raises(SystemExit):
            main(["perplexity", *options, "--data", "data"])
        assert "error: --" in capsys.readouterr().err
