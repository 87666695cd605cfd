import argparse
import hashlib
import json
import subprocess
import time
from pathlib import Path

import pytest

from speechllm.commands import score as command
from speechllm.errors import DataError, SpeechLLMError
from speechllm.score.inputs import Settings
from speechllm.score.normalize.normalize import describe
from speechllm.score.word_scores import kaldi_lines
from speechllm.score.write import score_set
from speechllm.task import load_task
from tests.helpers.changes import cut, flip

ASR = load_task("asr")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def tree(tmp_path):
    """Two models decoded on one set, and one of them on a second set."""
    write(tmp_path / "data/farm_test/text", "u1 the Sugar beet\nu2 a b\nu3 c\n")
    write(tmp_path / "data/farm_test/utt2spk", "u1 s1\nu2 s2\nu3 s2\n")
    write(tmp_path / "data/source_test/text", "v1 one two\nv2 three\n")
    write(tmp_path / "exp/base/decode_b4/farm_test/text", "u1 the sugar beat\nu2 a b c\n")
    write(tmp_path / "exp/base/decode_b4/source_test/text", "v1 one two\nv2 three\n")
    write(tmp_path / "exp/base/denoise_farm/decode_b4/farm_test/text", "u1 the Sugar beet\nu3\n")
    return tmp_path


def run(*arguments: object) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.run(parser.parse_args([str(a) for a in arguments]))


def test_wer_json(tree):
    reference = tree / "data/farm_test/text"
    hypothesis = tree / "exp/base/decode_b4/farm_test/text"
    result = score_set(ASR, reference, hypothesis, tree / "out", Settings(resamples=50))
    assert json.loads((tree / "out/wer.json").read_text()) == result
    assert (result["set"], result["utterances"], result["missing"]) == ("farm_test", 3, ["u3"])
    plain, english = result["scores"]["plain"], result["scores"]["english"]
    assert {k: plain["wer"][k] for k in plain["wer"] if k not in ("interval", "percent")} == {
        "errors": 4,
        "reference": 6,
        "hits": 3,
        "substitutions": 2,
        "deletions": 1,
        "insertions": 1,
    }
    assert plain["wer"]["percent"] == pytest.approx(100 * 4 / 6)
    low, high = plain["wer"]["interval"]
    assert low <= plain["wer"]["percent"] <= high
    # "the Sugar beet" 14 characters, "a b" 3, "c" 1: S -> s, e -> a, " c" inserted, c deleted.
    assert (plain["cer"]["errors"], plain["cer"]["reference"]) == (5, 18)
    assert plain["ser"] == {"percent": 100.0, "errors": 3, "reference": 3}
    assert english["wer"]["errors"] == 3
    made_from = result["made_from"]
    assert made_from["hypothesis"]["sha256"] == hashlib.sha256(hypothesis.read_bytes()).hexdigest()
    assert made_from["normalizers"]["english"] == describe("english")
    assert made_from["bootstrap"]["unit"] == "utterance"
    for kind in ("alignments", "confusions"):
        for name in ("plain", "english"):
            first = (tree / f"out/{kind}.{name}.txt").read_text().splitlines()[0]
            assert first.startswith(f"# normalizer: {name}; %WER")


def test_every_hypothesis_below_exp_is_scored_and_printed(tree, capsys, caplog):
    run("--exp", tree / "exp", "--data_root", tree / "data", "--n_bootstrap", 20)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("%WER 66.67 [ 4 / 6, 1 ins, 1 del, 2 sub ] [")
    assert lines[0].endswith(f"] plain farm_test {tree}/exp/base/decode_b4")
    assert lines[2].startswith("%WER 0.00 [ 0 / 3, 0 ins, 0 del, 0 sub ] [0.00, 0.00] plain sour")
    assert len(list(tree.glob("exp/**/score/wer.json"))) == 3
    assert "no hypothesis (counted as deletions): 1 (u3)" in caplog.text


def test_scored_again_only_when_something_changed(tree, monkeypatch):
    reference = tree / "data/farm_test/text"
    hypothesis = tree / "exp/base/decode_b4/farm_test/text"
    out = tree / "out"
    few = Settings(resamples=10)

    def done_again(settings=few, force=False):
        before = (out / "wer.json").stat().st_mtime_ns
        score_set(ASR, reference, hypothesis, out, settings, force=force)
        return (out / "wer.json").stat().st_mtime_ns != before

    score_set(ASR, reference, hypothesis, out, few)
    assert not done_again()
    assert done_again(force=True)
    assert done_again(Settings(resamples=11))
    assert done_again(Settings(seed=1))
    write(hypothesis, "u1 the Sugar beet\n")
    assert done_again()
    monkeypatch.setattr("speechllm.score.inputs.__version__", "another")
    assert done_again()
    assert done_again(Settings(("plain",), 10))
    assert not list(out.glob("*.english.txt")), "they showed hypotheses of an earlier run"


def test_by_speaker(tree, caplog):
    reference = tree / "data/farm_test/text"
    hypothesis = write(tree / "hyp", "u1 the Sugar beet\n")
    result = score_set(ASR, reference, hypothesis, tree / "out", Settings(by_speaker=True))
    # Speaker s1 is all right, s2 all wrong: the resamples are 0, 50 and 100 %.
    assert result["scores"]["plain"]["wer"]["interval"] == [0, 100]
    assert result["made_from"]["bootstrap"]["unit"] == "speaker"
    assert "only 2 speakers" in caplog.text
    write(tree / "data/farm_test/utt2spk", "u1 s1\n")
    with pytest.raises(DataError, match=r"no speaker: 2 \(u2, u3\)"):
        score_set(ASR, reference, hypothesis, tree / "out", Settings(by_speaker=True))


def test_kaldi_line_without_interval(tree):
    reference = write(tree / "data/one_test/text", "u1 a b\n")
    hypothesis = write(tree / "hyp", "u1 a\n")
    result = score_set(ASR, reference, hypothesis, tree / "out", Settings(("plain",)))
    assert kaldi_lines(result, "x") == [
        "%WER 50.00 [ 1 / 2, 0 ins, 1 del, 0 sub ] [-, -] plain one_test x"
    ]


def test_bad_input_is_refused(tree):
    reference = tree / "data/farm_test/text"
    doubled = write(tree / "doubled", "u1 a\nu1 b\n")
    with pytest.raises(DataError, match=r"doubled:2.*u1"):
        score_set(ASR, reference, doubled, tree / "out", Settings())
    unknown = write(tree / "unknown", "u1 a\nzz b\n")
    with pytest.raises(SpeechLLMError, match="zz"):
        score_set(ASR, reference, unknown, tree / "out", Settings())
    assert not (tree / "out").exists(), "nothing is left behind"
    with pytest.raises(DataError, match="no such file"):
        score_set(ASR, reference, tree / "absent", tree / "out", Settings())


def test_wrong_use_of_the_command(tree):
    with pytest.raises(SpeechLLMError, match="give --exp and --data_root, or"):
        run("--exp", tree / "exp")
    with pytest.raises(SpeechLLMError, match="give --exp"):
        run("--exp", tree / "exp", "--data_root", tree / "data", "--ref", "x")
    with pytest.raises(DataError, match=r"no decode_\*"):
        run("--exp", tree / "data", "--data_root", tree / "data")
    with pytest.raises(DataError, match="no reference for"):
        run("--exp", tree / "exp", "--data_root", tree / "elsewhere")


def test_one_file(tree, capsys):
    hypothesis = tree / "exp/base/denoise_farm/decode_b4/farm_test/text"
    run(
        *("--ref", tree / "data/farm_test/text", "--hyp", hypothesis, "--out", tree / "out"),
        *("--normalizer", "plain", "--n_bootstrap", 10),
    )
    assert capsys.readouterr().out.endswith(f"plain farm_test {hypothesis}\n")
    assert sorted(p.name for p in (tree / "out").iterdir()) == [
        "SHA256SUMS",
        "alignments.plain.txt",
        "confusions.plain.txt",
        "utterances.plain.tsv",
        "wer.json",
    ]


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
@pytest.mark.parametrize("name", ["wer.json", "utterances.plain.tsv"])
def test_a_damaged_score_is_made_anew(tree, name, damage):
    hypothesis, out = tree / "exp/base/denoise_farm/decode_b4/farm_test/text", tree / "out"
    words = ("--ref", tree / "data/farm_test/text", "--hyp", hypothesis, "--out", out)
    run(*words, "--n_bootstrap", 10)
    content = (out / name).read_bytes()
    if name == "wer.json" and damage is not Path.unlink:  # still JSON, another figure
        (out / name).write_bytes(content.replace(b'"utterances": ', b'"utterances": 1'))
    else:
        damage(out / name)
    run(*words, "--n_bootstrap", 10)
    assert (out / name).read_bytes() == content


def test_every_figure_of_a_set_that_has_everything(tmp_path):
    data = tmp_path / "data/farm_test"
    write(data / "text", "u1 sow sugar beet now\nu2 buy rye\nu3 a a\n")
    write(data / "utt2spk", "u1 s1\nu2 s2\nu3 s2\n")
    write(
        data / "entities",
        'u1 [{"type": "crop", "text": "sugar beet"}]\n'
        'u2 [{"type": "crop", "text": "rye"}, {"type": "crop", "text": "oats"}]\n',
    )
    write(data / "biasing", 'u1 ["beet", "leaf"]\nu2 ["rye"]\n')
    train = write(tmp_path / "train", "t1 sow now sow\nt2 buy a\n")
    hypothesis = write(
        tmp_path / "hyp", "u1 sow sugar beat now leaf\nu2 buy rye\nu3 no no no no no no\n"
    )
    settings = Settings(("plain",), 50, train_text=(train,))
    result = score_set(ASR, data / "text", hypothesis, tmp_path / "out", settings)
    figures = result["scores"]["plain"]
    assert figures["wer"]["errors"] == 8 and figures["wer"]["reference"] == 8

    def counts(figure):
        return {k: v for k, v in figure.items() if k not in ("interval", "percent")}

    entities = figures["entities"]
    assert counts(entities["error"]) == {"errors": 1, "reference": 3}
    assert entities["error"]["percent"] == pytest.approx(100 / 3)
    assert counts(entities["recall"]) == {"right": 1, "annotated": 2}
    assert counts(entities["precision"]) == {"right": 1, "heard": 1}
    assert entities["f1"]["percent"] == pytest.approx(200 / 3)
    assert entities["types"].keys() == {"crop"}
    assert entities["unplaced"] == {"u2": ["oats"]}
    b_wer, u_wer = figures["biasing"]["b_wer"], figures["biasing"]["u_wer"]
    assert (b_wer["errors"], b_wer["reference"]) == (2, 2)  # beet -> beat, and leaf made up
    assert b_wer["errors"] + u_wer["errors"] == 8 == b_wer["reference"] + u_wer["reference"]
    oov = figures["oov"]
    assert counts(oov["recall"]) == {"right": 2, "reference": 3}  # sugar, rye; beet is lost
    assert oov["types"] == 3 and oov["missed"] == {"beet": [1, 1]}
    assert figures["frequency"]["1-10"]["reference"] == 5
    assert {n: f["utterances"] for n, f in figures["lengths"].items()} == {"1-5": 3}
    assert counts(figures["speakers"]["s2"])["errors"] == 6
    assert figures["loops"]["ids"] == ["u3"]
    assert figures["deletions"]["percent"] == 0
    for figure in (entities["error"], b_wer, u_wer, oov["recall"]):
        low, high = figure["interval"]
        assert low <= figure["percent"] <= high


def test_figures_that_a_set_cannot_have_are_null(tree):
    """No entities, no lists, no training text; every utterance its own speaker."""
    write(tree / "data/farm_test/utt2spk", "u1 s1\nu2 s2\nu3 s3\n")
    reference = tree / "data/farm_test/text"
    result = score_set(ASR, reference, reference, tree / "out", Settings(("plain",), 10))
    figures = result["scores"]["plain"]
    names = ("entities", "biasing", "oov", "frequency", "speakers")
    assert {name: figures[name] for name in names} == dict.fromkeys(names)


def test_scored_again_when_what_stands_beside_it_changes(tree):
    reference, out = tree / "data/farm_test/text", tree / "out"

    def score(**more):
        before = out.exists() and (out / "wer.json").stat().st_mtime_ns
        score_set(ASR, reference, reference, out, Settings(("plain",), 10, **more))
        return (out / "wer.json").stat().st_mtime_ns != before

    assert score() and not score()
    for name, line in {
        "entities": 'u1 [{"type": "crop", "text": "Sugar beet"}]',
        "biasing": 'u1 ["beet"]',
        "bias_words": "beet",
        "utt2spk": "u1 s1\nu2 s1\nu3 s1",
    }.items():
        write(tree / f"data/farm_test/{name}", f"{line}\n")
        assert score() and not score(), name
    train = write(tree / "train", "t1 beet\n")
    assert score(train_text=(train,)) and not score(train_text=(train,))
    write(train, "t1 Sugar beet\n")
    assert score(train_text=(train,)), "the same path, another text"


def test_a_rules_file_as_normaliser(tree, capsys):
    rules = write(tree / "farm.yaml", "rules:\n  - lower: true\n  - words: {beat: beet}\n")
    hypothesis = tree / "exp/base/decode_b4/farm_test/text"
    options = ("--out", tree / "out", "--normalizer", rules, "--n_bootstrap", 10)
    run("--ref", tree / "data/farm_test/text", "--hyp", hypothesis, *options)
    name = "farm@" + hashlib.sha256(rules.read_bytes()).hexdigest()[:8]
    result = json.loads((tree / "out/wer.json").read_text())
    assert list(result["scores"]) == [name]
    assert result["made_from"]["normalizers"][name][:2] == ["lower case", "words: beat -> beet"]
    assert f" {name} farm_test" in capsys.readouterr().out
    assert (tree / f"out/alignments.{name}.txt").read_text().startswith(f"# normalizer: {name};")
    write(rules, "rules:\n  - lower: true\n")
    run("--ref", tree / "data/farm_test/text", "--hyp", hypothesis, *options)
    assert not list((tree / "out").glob(f"*{name}*")), "of rules that are no more"


def test_entities_that_are_not_said_are_listed(tree, caplog):
    write(tree / "data/farm_test/entities", 'u1 [{"type": "crop", "text": "wheat"}]\n')
    reference = tree / "data/farm_test/text"
    for _ in range(2):  # also when nothing is scored again
        caplog.clear()
        score_set(ASR, reference, reference, tree / "out", Settings(("plain",), 10))
        assert "does not hold are not counted: 1 (u1: wheat)" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("entities", 'u1 []\nu2 [{"type": "crop"}]\n', r"entities:2: u2: entities are not a list"),
        ("entities", "u1 [}\n", r"entities:1: u1: "),
        ("entities", "zz []\n", r"entities of utterances that text lacks: 1 \(zz\)"),
        ("biasing", 'u1 []\nu2 ["a", 1]\n', r"biasing:2: u2: entry is not a string"),
        ("biasing", "u1 {\n", r"biasing:1: u1"),
        ("biasing", "zz []\n", r"unknown utterances: 1 \(zz\)"),
        ("bias_words", "a\n\nb\n", r"bias_words:2: "),
        ("utt2spk", "u1 s1\n", r"no speaker: 2 \(u2, u3\)"),
    ],
)
def test_bad_tables_beside_the_reference(tree, name, content, message):
    file = write(tree / f"data/farm_test/{name}", content)
    reference = tree / "data/farm_test/text"
    with pytest.raises(DataError, match=message) as caught:
        score_set(ASR, reference, reference, tree / "out", Settings(("plain",), 10))
    assert str(file.parent) in str(caught.value) and not (tree / "out").exists()


def test_more_bad_input(tree):
    reference = tree / "data/farm_test/text"
    with pytest.raises(DataError, match="absent: no such file"):
        score_set(ASR, reference, reference, tree / "out", Settings(train_text=(tree / "absent",)))
    empty = write(tree / "empty/text", "")
    with pytest.raises(DataError, match="empty/text: there are no references"):
        score_set(ASR, empty, reference, tree / "out", Settings())
    silent = write(tree / "silent/text", "u1\nu2\n")
    heard = write(tree / "heard", "u1 a\nu2\n")
    result = score_set(ASR, silent, heard, tree / "out", Settings(("plain",), 10))
    assert result["scores"]["plain"]["wer"]["percent"] is None
    assert result["scores"]["plain"]["wer"]["insertions"] == 1
    for damaged in ("{", (tree / "out/wer.json").read_text().replace("1", "2", 1)):
        write(tree / "out/wer.json", damaged)
        assert score_set(ASR, silent, heard, tree / "out", Settings(("plain",), 10)) == result


def test_a_score_whose_hashes_were_never_written_is_made_anew(tree):
    """The process was killed between the score and its hashes."""
    reference, settings = tree / "data/farm_test/text", Settings(("plain",), 10)
    result = score_set(ASR, reference, reference, tree / "out", settings)
    sums = (tree / "out/SHA256SUMS").read_text()
    (tree / "out/SHA256SUMS").unlink()
    assert score_set(ASR, reference, reference, tree / "out", settings) == result
    assert (tree / "out/SHA256SUMS").read_text() == sums


def test_20_000_utterances_in_seconds(tmp_path):
    """Everything on; the bound is loose, docs/scoring.md says what was measured."""
    words = [f"w{i}" for i in range(3000)]
    said = {
        f"u{i:05d}": " ".join(words[(i * k) % 3000] for k in range(1, 13)) for i in range(20000)
    }
    data = tmp_path / "data"
    write(data / "text", "".join(f"{u} {t}\n" for u, t in said.items()))
    write(data / "utt2spk", "".join(f"{u} s{i % 40:02d}\n" for i, u in enumerate(said)))
    entity = '{{"type": "t{}", "text": "{}"}}'
    write(
        data / "entities",
        "".join(f"{u} [{entity.format(len(u) % 3, t.split()[3])}]\n" for u, t in said.items()),
    )
    write(data / "bias_words", "".join(f"w{i}\n" for i in range(0, 100_000, 7)))
    hypotheses = "".join(f"{u} {t.replace('w1 ', 'x ')}\n" for u, t in said.items())
    hypothesis = write(tmp_path / "hyp", hypotheses)
    start = time.process_time()
    settings = Settings(("plain",), train_text=(data / "text",), trn=True)
    score_set(ASR, data / "text", hypothesis, tmp_path / "out", settings)
    assert time.process_time() - start < 40


def test_hypotheses_are_matched_by_id_in_any_order(tmp_path, capsys):
    ref = write(tmp_path / "us.ref", "u10 a\nu2 b\nu3 c d\n")
    hyp = write(tmp_path / "us.hyp", "\ufeffu3 c d\r\n\r\nu2 b\r\nu10 a\r\n")
    run("--ref", hyp, "--hyp", ref, "--out", tmp_path / "one", "--n_bootstrap", 10)
    run("--ref", ref, "--hyp", hyp, "--out", tmp_path / "two", "--n_bootstrap", 10)
    assert capsys.readouterr().out.count("%WER 0.00 [ 0 / 4") == 4
    write(hyp, "u3 c d\nu2 b\nu3 c\n")
    with pytest.raises(DataError, match=r"us.hyp:3: id occurs more than once: u3\n  -> delete one"):
        run("--ref", ref, "--hyp", hyp, "--out", tmp_path / "three")


def test_characters_that_nobody_sees_are_said(tmp_path, caplog):
    ref = write(tmp_path / "us.ref", "u1 we\u200bbundle\nu2 می\u200cخواهم\nu3 a\x85b\n")
    hyp = write(tmp_path / "us.hyp", "u1 webundle\nu2 می\u200cخواهم\nu3 a \ufffd\n")
    run("--ref", ref, "--hyp", hyp, "--out", tmp_path / "o", "--n_bootstrap", 10)
    said = [r.getMessage() for r in caplog.records if "nobody sees" in r.getMessage()]
    assert len(said) == 1 and said[0].endswith("words differ: 1 (u1 (U+200B, column 3))")


@pytest.mark.parametrize("which", ["--ref", "--hyp"])
def test_sclites_format_is_named_with_what_makes_a_table_of_it(tmp_path, capsys, which):
    table = write(tmp_path / "text", "s-1 the cow\ns-2\ns-3 the grass (green)\n")
    trn = write(tmp_path / "a.trn", "the cow (s-1)\n (s-2)\nthe grass (green) (s-3)\n")
    files = {"--ref": table, "--hyp": table, which: trn}
    words = [*files.items(), ("--out", tmp_path / "o"), ("--n_bootstrap", 10)]
    with pytest.raises(DataError, match=r"a\.trn: is sclite's trn") as caught:
        run(*(word for pair in words for word in pair))
    subprocess.run(["bash", "-c", caught.value.remedy.split(": ", 1)[1]], check=True)
    files[which] = tmp_path / "a.text"
    words = [*files.items(), *words[2:]]
    run(*(word for pair in words for word in pair))
    assert "%WER 0.00 [ 0 / 5" in capsys.readouterr().out


def test_only_what_an_earlier_score_wrote_is_removed(tmp_path):
    """A folder may hold the very files that are scored, whatever their names."""
    out = tmp_path / "out"
    own = {
        name: write(out / name, "u1 the cow\n")
        for name in ("ref.english.txt", "hyp.english.txt", "notes.plain.tsv")
    }
    reference, hypothesis = own["ref.english.txt"], own["hyp.english.txt"]

    def names(settings):
        score_set(ASR, reference, hypothesis, out, settings)
        return {path.name for path in out.iterdir()} - {".lock"}

    more = names(Settings(("plain", "english"), 10, trn=True))
    assert {"ref.plain.trn", "alignments.english.txt", *own} < more
    less = names(Settings(("plain",), 10))
    gone = {name for name in more if name.endswith(".trn") or ".english." in name} - {*own}
    assert less == more - gone
    assert all(path.read_text() == "u1 the cow\n" for path in own.values())


def test_a_list_of_hashes_removes_nothing_elsewhere(tmp_path):
    reference = write(tmp_path / "text", "u1 the cow\n")
    out = tmp_path / "out"
    score_set(ASR, reference, reference, out, Settings(("plain",), 10))
    with (out / "SHA256SUMS").open("a") as stream:
        stream.write(f"{'0' * 64}  ../text\n")
    score_set(ASR, reference, reference, out, Settings(("plain",), 20))
    assert reference.is_file()
