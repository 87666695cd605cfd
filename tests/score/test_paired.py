import argparse

import pytest

from speechllm import cli
from speechllm.commands import compare_hyps as command
from speechllm.errors import DataError, SpeechLLMError
from speechllm.score.chance.significance import matched_pairs, paired_bootstrap
from speechllm.score.count.wer import score_texts
from speechllm.score.inputs import Settings
from speechllm.score.paired import compare_pair, comparison_lines
from speechllm.score.write import score_set
from speechllm.task import load_task

ASR = load_task("asr")

SAID = {f"u{i:02d}": "the old barn door" for i in range(40)}
A = {utt: "the old barn" if int(utt[1:]) < 35 else text for utt, text in SAID.items()}
B = {utt: "the cold barn door" if int(utt[1:]) >= 30 else text for utt, text in SAID.items()}


def test_what_was_fixed_and_broken():
    a, b = score_texts(SAID, A), score_texts(SAID, B)
    beside = compare_pair(a, b, 500)
    assert (len(beside.fixed), len(beside.broken)) == (30, 5)
    assert (len(beside.better), len(beside.worse)) == (30, 5)
    assert beside.fixed[0] == "u00" and beside.broken == ("u35", "u36", "u37", "u38", "u39")
    assert beside.words_fixed == {"door": 35} and beside.words_broken == {"old": 10}
    assert beside.paired.difference == pytest.approx(100 * (10 - 35) / 160)
    errors_a, errors_b = ([u.words.errors for u in score.utterances] for score in (a, b))
    assert beside.paired == paired_bootstrap(errors_b, errors_a, [4] * 40, 500)
    assert beside.p_matched == matched_pairs([b], [a]) and beside.p_matched < 0.01
    lines = "\n".join(comparison_lines(beside, "one", "two"))
    assert "a  %WER 21.88 [ 35 / 160, 0 ins, 35 del, 0 sub ] [" in lines
    assert "b - a: -15.62 points [" in lines
    assert "b better in 30, worse in 5, as many errors in 5" in lines
    assert "wholly right only in b: 30; only in a: 5" in lines
    assert "words right only in b: 35: door 35" in lines


def test_a_system_beside_itself():
    a = score_texts(SAID, A)
    beside = compare_pair(a, a, 100)
    assert beside.paired.difference == 0 and beside.paired.p == 1 and beside.p_matched == 1
    assert not (beside.fixed or beside.broken or beside.words_fixed or beside.words_broken)
    assert "words right only in a: 0" in list(comparison_lines(beside, "x", "y"))


def test_one_utterance_cannot_be_tested():
    score = score_texts({"u": "a"}, {"u": "b"})
    assert "nothing to test" in "\n".join(comparison_lines(compare_pair(score, score), "x", "y"))


@pytest.fixture
def folders(tmp_path):
    def write(path, table):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{utt} {text}\n" for utt, text in table.items()))

    write(tmp_path / "data/farm_test/text", SAID)
    for name, table in (("a", A), ("b", B)):
        write(tmp_path / f"exp/{name}/decode_x/farm_test/text", table)
    return tmp_path


def run(*arguments: object) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.run(parser.parse_args([str(a) for a in arguments]))


def scored(folder):
    text = folder.parents[3] / "data/farm_test/text"
    score_set(ASR, text, folder / "text", folder / "score", Settings(("plain",), 10))


def test_the_command_finds_what_was_scored_against(folders, capsys):
    a, b = (folders / f"exp/{name}/decode_x/farm_test" for name in "ab")
    with pytest.raises(SpeechLLMError, match=r"been scored\n.*--ref"):
        run(a, b)
    run(a / "text", b, "--ref", folders / "data/farm_test/text", "--n_bootstrap", 100)
    given = capsys.readouterr().out
    scored(a)
    run(a, b, "--n_bootstrap", 100)
    assert capsys.readouterr().out.replace(str(a), str(a / "text")) == given
    assert "b - a: -15.62 points" in given and given.splitlines()[0].endswith(f"plain  {a}/text")


def test_the_command_goes_by_both_names(folders, capsys, monkeypatch):
    a, b = (folders / f"exp/{name}/decode_x/farm_test" for name in "ab")
    scored(a)
    for name, said in (
        (["compare", "hyps"], ""),
        (["compare-hyps"], "speechllm compare-hyps: its name is now `speechllm compare hyps`\n"),
    ):
        cli.main([*name, str(a), str(b), "--n-bootstrap", "50"])
        printed = capsys.readouterr()
        assert "b better in 30" in printed.out and printed.err == said


def test_missing_hypotheses_are_said(folders, capsys):
    a, b = (folders / f"exp/{name}/decode_x/farm_test" for name in "ab")
    (b / "text").write_text("u00 the old barn door\n")
    scored(a)
    run(a, b, "--n_bootstrap", 50)
    assert "b lacks hypotheses, counted as deletions: 39 (u01, u02" in capsys.readouterr().out


def test_a_system_that_writes_in_another_case_is_said(folders, capsys):
    a, b = (folders / f"exp/{name}/decode_x/farm_test" for name in "ab")
    (b / "text").write_text((b / "text").read_text().replace("the", "THE").replace("old", "OLD"))
    scored(a)
    run(a, b, "--n_bootstrap", 50)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "more would in lower case" in line] == [lines[0]]
    assert lines[0].startswith("b: ") and "stand in the reference (plain)" in lines[0]
    run(a, b, "--n_bootstrap", 50, "--normalizer", "english")
    assert "more would" not in capsys.readouterr().out


def test_wrong_use_of_the_command(folders):
    a, b = (folders / f"exp/{name}/decode_x/farm_test" for name in "ab")
    scored(a)
    (b / "text").write_text("u00 a\nzz b\n")
    with pytest.raises(SpeechLLMError, match=r"b/.*/text: .* no reference has: 1 \(zz\)"):
        run(a, b)
    (folders / "empty").touch()
    with pytest.raises(DataError, match="empty: there are no references"):
        run(a, b, "--ref", folders / "empty")
    (b / "text").write_text("u00 a\nu00 b\n")
    with pytest.raises(DataError, match=r"text:2: id occurs more than once: u00"):
        run(a, b)
    (folders / "data/farm_test/text").write_text("u00 another\n")
    with pytest.raises(DataError, match="has changed since"):
        run(a, b)
    (a / "score/wer.json").write_text("{}")
    with pytest.raises(DataError, match="there is no 'made_from'"):
        run(a, b)


def test_files_in_any_order_are_compared_by_id(tmp_path, capsys):
    for name, lines in {
        "ref": "u1 a\nu2 b\n",
        "a": "u2 b\nu1 a\n",
        "b": "u2 b\r\nu1 a\r\n",
    }.items():
        (tmp_path / name).write_bytes(lines.encode())
    run(tmp_path / "a", tmp_path / "b", "--ref", tmp_path / "ref")
    assert capsys.readouterr().out.count("0.00") >= 2
