"""The same files scored by NIST's sclite: equal counts, where the two may not differ.

sclite's alignment is the cheapest with a substitution at 4, a deletion or insertion at 3; ours has
the fewest errors. For m words against n both depend on hits H and substitutions S alone: errors are
m + n - 2 H - S, sclite's cost is 3 (m + n) - 2 (3 H + S). So sclite takes more hits where that
costs up to three substitutions each, ours where it costs up to two.
"""

import random
import re
import shutil
import subprocess
from pathlib import Path

import jiwer
import pytest

from speechllm.data.dirs.kaldi import read_table
from speechllm.errors import SpeechLLMError
from speechllm.score.count.wer import score_texts
from speechllm.score.inputs import Settings
from speechllm.score.listings import utterance_lines
from speechllm.score.trn import trn_lines
from speechllm.score.write import score_set
from speechllm.task import load_task

ASR = load_task("asr")

HANDMADE = {
    "u1": ("a b c d", "a x c"),
    "u2": ("", "made up"),
    "u3": ("lost", ""),
    "u4": ("A b", "a b"),  # -s: case counts
    "u5": ("naïve café über", "naïve cafe über"),
    "u6": ("it's a well-known co-op (laughs)", "it's a well known coop (laughs)"),
}
# Two hits more for five substitutions: the one place where the totals must differ.
DIFFERENT = ("a b c f g d e", "f g h i j k l")


@pytest.fixture
def sclite(tmp_path):
    """Score two trn files; return (C, S, D, I) of each utterance."""
    command = shutil.which("sctk") or shutil.which("sclite")
    if command is None:
        pytest.skip("sclite is not installed (apt-get install sctk)")
    command = [command, "sclite"] if command.endswith("sctk") else [command]

    def run(reference: list[str], hypothesis: list[str]) -> dict[str, tuple[int, ...]]:
        files = []
        for name, lines in (("ref", reference), ("hyp", hypothesis)):
            files += [f"-{name[0]}", str(tmp_path / f"{name}.trn"), "trn"]
            (tmp_path / f"{name}.trn").write_text("".join(f"{line}\n" for line in lines))
        options = ["-i", "rm", "-s", "-e", "utf-8", "-o", "pralign", "stdout"]
        done = subprocess.run(
            [*command, *files, *options], capture_output=True, text=True, check=True
        )
        found = re.findall(
            r"^id: \((\S+)\)\n(?:.*\n)??Scores: \(#C #S #D #I\) (.*)$", done.stdout, re.M
        )
        return {name.partition("-")[2]: tuple(map(int, counts.split())) for name, counts in found}

    return run


def counts_of(score) -> dict[str, tuple[int, ...]]:
    rows = [line.split("\t") for line in utterance_lines(score)][1:]
    return {utt: tuple(map(int, counts)) for utt, _, *counts in rows}


def best(reference: list[str], hypothesis: list[str], hit: int) -> set[tuple[int, ...]]:
    """All (C, S, D, I) of alignments with the most of `hit` x hits + substitutions."""
    rows = {(0, 0): {(0, 0)}}
    m, n = len(reference), len(hypothesis)
    for i in range(m + 1):
        for j in range(n + 1):
            reached = set(rows.get((i, j), ()))
            if i:
                reached |= rows[i - 1, j]
            if j:
                reached |= rows[i, j - 1]
            if i and j:
                same = reference[i - 1] == hypothesis[j - 1]
                reached |= {(c + same, s + (not same)) for c, s in rows[i - 1, j - 1]}
            top = max(hit * c + s for c, s in reached)
            rows[i, j] = {(c, s) for c, s in reached if hit * c + s == top}
    return {(c, s, m - c - s, n - c - s) for c, s in rows[m, n]}


def corrupted(words: list[str], draw: random.Random, rate: float) -> list[str]:
    heard = []
    for word in words:
        kind = draw.random() / rate
        if kind < 1:
            heard += draw.choice([[], [word, draw.choice(words)], [draw.choice(words)], ["uh"]])
        else:
            heard.append(word)
    return heard


def texts(rate: float, utterances: int, seed: int = 0) -> tuple[dict[str, str], dict[str, str]]:
    """Random sentences of few words, in which alignments are ambiguous, and what was heard."""
    draw = random.Random(seed)
    said = {
        f"u{i:04d}": [draw.choice("abcdefgh") for _ in range(draw.randint(1, 12))]
        for i in range(utterances)
    }
    return (
        {utt: " ".join(words) for utt, words in said.items()},
        {utt: " ".join(corrupted(words, draw, rate)) for utt, words in said.items()},
    )


def trn(score) -> tuple[list[str], list[str]]:
    return trn_lines(score, "ref"), trn_lines(score, "hyp")


def test_handmade_cases_are_equal(sclite):
    score = score_texts(*({u: both[side] for u, both in HANDMADE.items()} for side in (0, 1)))
    assert sclite(*trn(score)) == counts_of(score)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_both_find_what_their_weights_ask_for(sclite, rate):
    """And where the best alignments of both have the same counts, these are equal."""
    references, hypotheses = texts(rate, 400)
    score = score_texts(references, hypotheses)
    theirs, ours = sclite(*trn(score)), counts_of(score)
    assert theirs.keys() == ours.keys()
    must_be_equal = 0
    for utt, reference in references.items():
        words = reference.split(), hypotheses[utt].split()
        mine, nist = best(*words, hit=2), best(*words, hit=3)
        assert ours[utt] in mine and theirs[utt] in nist
        assert sum(ours[utt][1:]) <= sum(theirs[utt][1:])
        if mine == nist and len(mine) == 1:
            must_be_equal += 1
            assert ours[utt] == theirs[utt]
    assert must_be_equal > (360 if rate < 0.2 else 200)


def test_where_the_totals_differ(sclite):
    score = score_texts({"u": DIFFERENT[0]}, {"u": DIFFERENT[1]})
    assert counts_of(score)["u"] == (0, 7, 0, 0)
    assert sclite(*trn(score))["u"] == (2, 2, 3, 3)


def test_real_references(sclite, shared_data, tmp_path):
    """LibriSpeech's transcripts, corrupted, with speakers and missing hypotheses."""
    files = sorted((shared_data / "librispeech_sample/test-clean").rglob("*.trans.txt"))
    lines = [line.split(" ", 1) for file in files for line in file.read_text().splitlines()]
    said = {utt: words.strip().lower() for utt, words in lines}
    assert len(said) > 20
    draw = random.Random(1)
    heard = {utt: " ".join(corrupted(t.split(), draw, 0.15)) for utt, t in sorted(said.items())}
    heard.pop(min(heard))
    folder = tmp_path / "data"
    folder.mkdir()
    for name, table in (("text", said), ("hyp", heard)):
        rows = sorted(table.items())
        (folder / name).write_text("".join(f"{u} {t}\n" for u, t in rows))
    speakers = {utt: utt.split("-")[0] for utt in said}
    (folder / "utt2spk").write_text("".join(f"{u} {s}\n" for u, s in sorted(speakers.items())))
    settings = Settings(("plain",), 10, trn=True)
    score_set(ASR, folder / "text", folder / "hyp", tmp_path / "out", settings)
    sides = [(tmp_path / f"out/{s}.plain.trn").read_text().splitlines() for s in ("ref", "hyp")]
    ids = [f"({speakers[utt]}-{utt})" for utt in sorted(said)]
    assert [line.split()[-1] for line in sides[0]] == ids == [line.split()[-1] for line in sides[1]]
    score = score_texts(read_table(folder / "text"), read_table(folder / "hyp"))
    theirs, ours = sclite(*sides), counts_of(score)
    assert theirs.keys() == ours.keys() == said.keys()
    assert [sum(c[1:]) for c in theirs.values()] == [sum(ours[u][1:]) for u in theirs]


def test_jiwer_counts_the_same():
    references, hypotheses = texts(0.3, 200)
    score = score_texts(references, hypotheses)
    found = jiwer.process_words(
        [references[u] for u in sorted(references)], [hypotheses[u] for u in sorted(references)]
    )
    words = score.words
    assert (words.hits, words.substitutions, words.deletions, words.insertions) == (
        *(found.hits, found.substitutions, found.deletions, found.insertions),
    )


@pytest.mark.parametrize("said", ["an {odd} word", "so @ there", ";; comment", "*** gap"])
def test_what_sclite_would_take_for_a_mark_is_refused(said):
    with pytest.raises(SpeechLLMError, match=r"ref: words that mean something .* in u\)"):
        trn_lines(score_texts({"u": said}, {"u": "x"}), "ref")


def test_speakers_without_the_mark_that_ends_them():
    score = score_texts({"sp-1-u": "a"}, {"sp-1-u": "b"})
    assert trn_lines(score, "hyp", {"sp-1-u": "sp-1"}) == ["b (sp_1-sp-1-u)"]
    assert trn_lines(score, "ref") == ["a (sp_1_u-sp-1-u)"]


def test_trn_is_written_only_when_asked_for(tmp_path: Path):
    (tmp_path / "text").write_text("u1 a\n")
    for asked in (True, False):
        settings = Settings(("plain",), 10, trn=asked)
        score_set(ASR, tmp_path / "text", tmp_path / "text", tmp_path / "out", settings)
        assert len(list((tmp_path / "out").glob("*.trn"))) == 2 * asked
