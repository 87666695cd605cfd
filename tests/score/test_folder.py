import argparse
import hashlib
import json
from pathlib import Path

import pytest

from speechllm.commands import score as command
from speechllm.errors import DataError, SpeechLLMError
from speechllm.score.folder import Settings, kaldi_lines, score_folder
from speechllm.score.normalize import describe


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
    result = score_folder(reference, hypothesis, tree / "out", Settings(resamples=50))
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
        score_folder(reference, hypothesis, out, settings, force)
        return (out / "wer.json").stat().st_mtime_ns != before

    score_folder(reference, hypothesis, out, few)
    assert not done_again()
    assert done_again(force=True)
    assert done_again(Settings(resamples=11))
    assert done_again(Settings(seed=1))
    write(hypothesis, "u1 the Sugar beet\n")
    assert done_again()
    monkeypatch.setattr("speechllm.__version__", "another")
    assert done_again()
    assert done_again(Settings(("plain",), 10))
    assert not list(out.glob("*.english.txt")), "they showed hypotheses of an earlier run"


def test_by_speaker(tree, caplog):
    reference = tree / "data/farm_test/text"
    hypothesis = write(tree / "hyp", "u1 the Sugar beet\n")
    result = score_folder(reference, hypothesis, tree / "out", Settings(by_speaker=True))
    # Speaker s1 is all right, s2 all wrong: the resamples are 0, 50 and 100 %.
    assert result["scores"]["plain"]["wer"]["interval"] == [0, 100]
    assert result["made_from"]["bootstrap"]["unit"] == "speaker"
    assert "only 2 speakers" in caplog.text
    write(tree / "data/farm_test/utt2spk", "u1 s1\n")
    with pytest.raises(DataError, match=r"no speaker: 2 \(u2, u3\)"):
        score_folder(reference, hypothesis, tree / "out", Settings(by_speaker=True))


def test_kaldi_line_without_interval(tree):
    reference = write(tree / "data/one_test/text", "u1 a b\n")
    hypothesis = write(tree / "hyp", "u1 a\n")
    result = score_folder(reference, hypothesis, tree / "out", Settings(("plain",)))
    assert kaldi_lines(result, "x") == [
        "%WER 50.00 [ 1 / 2, 0 ins, 1 del, 0 sub ] [-, -] plain one_test x"
    ]


def test_bad_input_is_refused(tree):
    reference = tree / "data/farm_test/text"
    doubled = write(tree / "doubled", "u1 a\nu1 b\n")
    with pytest.raises(DataError, match=r"doubled:2.*u1"):
        score_folder(reference, doubled, tree / "out", Settings())
    unknown = write(tree / "unknown", "u1 a\nzz b\n")
    with pytest.raises(SpeechLLMError, match="zz"):
        score_folder(reference, unknown, tree / "out", Settings())
    assert not (tree / "out").exists(), "nothing is left behind"
    with pytest.raises(DataError, match="no such file"):
        score_folder(reference, tree / "absent", tree / "out", Settings())


def test_wrong_use_of_the_command(tree):
    with pytest.raises(SpeechLLMError, match="give --exp and --data_root, or"):
        run("--exp", tree / "exp")
    with pytest.raises(SpeechLLMError, match="give --exp"):
        run("--exp", tree / "exp", "--data_root", tree / "data", "--ref", "x")
    with pytest.raises(DataError, match=r"no decode_\*"):
        run("--exp", tree / "data", "--data_root", tree / "data")
    with pytest.raises(DataError, match="no reference for"):
        run("--exp", tree / "exp", "--data_root", tree / "elsewhere")
    with pytest.raises(SpeechLLMError, match="n_bootstrap"):
        run("--exp", tree / "exp", "--data_root", tree / "data", "--n_bootstrap", 0)


def test_one_file(tree, capsys):
    hypothesis = tree / "exp/base/denoise_farm/decode_b4/farm_test/text"
    run(
        *("--ref", tree / "data/farm_test/text", "--hyp", hypothesis, "--out", tree / "out"),
        *("--normalizer", "plain", "--n_bootstrap", 10),
    )
    assert capsys.readouterr().out.endswith(f"plain farm_test {hypothesis}\n")
    assert sorted(p.name for p in (tree / "out").iterdir()) == [
        "alignments.plain.txt",
        "confusions.plain.txt",
        "wer.json",
    ]
