"""Parts are disjoint and complete, of the lengths asked for, and no speaker is in two of them."""

import pytest

from speechllm.data.dirs.kaldi import write_data_dir
from speechllm.data.dirs.set_tables import read_set
from speechllm.data.dirs.split import shared_recordings, split_by_share, split_evenly
from speechllm.errors import DataError

SPEAKERS = {f"u{n:03d}": f"s{(n * n) % 17:02d}" for n in range(300)}
LENGTHS = {utt: 1.0 + (n % 13) / 2 for n, utt in enumerate(SPEAKERS)}


@pytest.fixture
def many(tmp_path):
    """300 utterances of nine speakers who say 15 to 36 of them."""
    text = {utt: "a b" for utt in SPEAKERS}
    wav = {utt: f"/x/{utt}.wav" for utt in text}
    write_data_dir(tmp_path / "many", text=text, wav=wav, utt2spk=SPEAKERS, utt2dur=LENGTHS)
    return read_set(tmp_path / "many")


def lengths(parts):
    return [sum(LENGTHS[utt] for utt in part) for part in parts]


def speakers(parts):
    return [{SPEAKERS[utt] for utt in part} for part in parts]


def is_a_partition(parts, tables):
    return sorted(utt for part in parts for utt in part) == tables.ids and all(parts)


def test_equal_parts(many):
    parts = split_evenly(many, 7, by_utterance=True)
    assert is_a_partition(parts, many) and parts[0] == sorted(parts[0])
    assert max(lengths(parts)) - min(lengths(parts)) <= max(LENGTHS.values())
    parts = split_evenly(many, 4)
    assert is_a_partition(parts, many)
    assert sum(map(len, speakers(parts))) == len(set(SPEAKERS.values()))
    assert max(lengths(parts)) / min(lengths(parts)) < 1.6


def test_shares_keep_speakers_together(many):
    total = sum(LENGTHS.values())
    for seed in range(10):
        parts = split_by_share(many, [8, 1, 1], seed)
        assert is_a_partition(parts, many)
        assert sum(map(len, speakers(parts))) == len(set(SPEAKERS.values()))
        assert lengths(parts)[0] / total > 0.6
    assert split_by_share(many, [8, 1, 1], 3) == split_by_share(many, [0.8, 0.1, 0.1], 3)
    drawn = {tuple(split_by_share(many, [1, 1], seed)[0]) for seed in range(10)}
    assert len(drawn) > 3


def test_shares_of_utterances_are_close(many):
    total = sum(LENGTHS.values())
    parts = split_by_share(many, [0.8, 0.15, 0.05], by_utterance=True)
    assert is_a_partition(parts, many)
    assert [length / total for length in lengths(parts)] == pytest.approx(
        [0.8, 0.15, 0.05], abs=0.01
    )


def test_every_part_gets_something(many):
    count = len(set(SPEAKERS.values()))
    parts = split_by_share(many, [1000, *[1] * (count - 1)])
    assert is_a_partition(parts, many) and [len(s) for s in speakers(parts)] == [1] * count


def test_parts_that_cannot_be(many):
    with pytest.raises(DataError, match="9 speakers cannot make 10 parts") as caught:
        split_evenly(many, 10)
    assert caught.value.remedy == "--per_utt splits by utterance"
    with pytest.raises(DataError, match="300 utterances cannot make 301 parts"):
        split_by_share(many, [1] * 301, by_utterance=True)
    with pytest.raises(DataError, match="cannot make 0 parts"):
        split_evenly(many, 0)
    del many.utterances["utt2spk"]
    with pytest.raises(DataError, match="utt2spk: no such file, so speakers cannot be kept"):
        split_evenly(many, 2)


def test_words_count_where_there_is_no_audio(tmp_path):
    text = {"u1": "a " * 9, "u2": "a b c", "u3": "a b c", "u4": "a b c"}
    write_data_dir(tmp_path / "words", text=text)
    parts = split_evenly(read_set(tmp_path / "words"), 2, by_utterance=True)
    assert parts == [["u1"], ["u2", "u3", "u4"]]


def test_recordings_in_several_parts_are_found(tmp_path):
    write_data_dir(
        tmp_path / "cut",
        text={"u1": "a", "u2": "b", "u3": "c"},
        wav={"r1": "1.wav", "r2": "2.wav"},
        segments={"u1": ("r1", 0, 1), "u2": ("r1", 1, 2), "u3": ("r2", 0, 1)},
    )
    tables = read_set(tmp_path / "cut")
    assert shared_recordings(tables, [["u1"], ["u2", "u3"]]) == ["r1"]
    assert shared_recordings(tables, [["u1", "u2"], ["u3"]]) == []
