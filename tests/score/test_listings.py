from speechllm.score.count.wer import score_texts
from speechllm.score.listings import alignment_lines, confusion_lines


def test_alignments_stand_in_columns_sorted_by_id():
    score = score_texts(
        {"u2": "the sugar beet", "u1": "a b", "u3": "x"},
        {"u2": "the suggar beet oh", "u1": "b"},
    )
    assert list(alignment_lines(score)) == [
        "# normalizer: plain; %WER 66.67 [ 4 / 6, 1 ins, 2 del, 1 sub ]",
        "# OPS: S substituted, D deleted, I inserted; *** no word",
        "",
        "id: u1",
        "Scores: (#C #S #D #I) 1 0 1 0",
        "REF: a   b",
        "HYP: *** b",
        "OPS: D",
        "",
        "id: u2",
        "Scores: (#C #S #D #I) 2 1 0 1",
        "REF: the sugar  beet ***",
        "HYP: the suggar beet oh",
        "OPS:     S           I",
        "",
        "id: u3 (no hypothesis)",
        "Scores: (#C #S #D #I) 0 0 1 0",
        "REF: x",
        "HYP: ***",
        "OPS: D",
    ]


def test_wide_letters_take_two_columns():
    lines = list(alignment_lines(score_texts({"u": "日本 a"}, {"u": "日 b"})))
    assert lines[-3:] == ["REF: 日本 a", "HYP: 日   b", "OPS: S    S"]


def test_confusions_by_frequency():
    score = score_texts(
        {"u1": "beet wheat b", "u2": "beet a", "u3": "c d", "u4": "d"},
        {"u1": "beat wheat b", "u2": "beat x", "u3": "c", "u4": "d oh oh"},
    )
    assert list(confusion_lines(score)) == [
        "# normalizer: plain; %WER 75.00 [ 6 / 8, 2 ins, 1 del, 3 sub ]",
        "",
        "SUBSTITUTIONS: count reference -> hypothesis",
        "     2  beet -> beat",
        "     1  a -> x",
        "",
        "DELETIONS: count reference",
        "     1  d",
        "",
        "INSERTIONS: count hypothesis",
        "     2  oh",
        "",
        "WORDS: errors correct in_reference in_hypothesis word",
        "     2      0      0      2  beat",
        "     2      0      2      0  beet",
        "     2      0      0      2  oh",
        "     1      0      1      0  a",
        "     1      1      2      1  d",
        "     1      0      0      1  x",
        "     0      1      1      1  b",
        "     0      1      1      1  c",
        "     0      1      1      1  wheat",
    ]
