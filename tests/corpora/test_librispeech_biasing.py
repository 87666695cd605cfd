"""The published bias lists of LibriSpeech, and what is said of broken ones."""

import json
from pathlib import Path

import pytest

from speechllm.corpora.librispeech import read_split
from speechllm.corpora.librispeech_biasing import add_biasing, biasing_file, read_biasing
from speechllm.data.check.validate import check_data_dir
from speechllm.data.dirs.kaldi import DataDir, write_data_dir
from speechllm.errors import DataError

LINE = 'u1\tsell the maize\t["maize"]\t["maize", "rye"]\n'


def test_lists_come_in_the_case_of_the_transcripts(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text(LINE + LINE.replace("u1", "u2"))
    assert read_biasing(tmp_path / "x.tsv", {"u1": "sell the maize"}) == {"u1": ["maize", "rye"]}
    assert read_biasing(tmp_path / "x.tsv", {"u1": "SELL THE MAIZE"}) == {"u1": ["MAIZE", "RYE"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LINE + "u2\tno list\n", "tsv:2: 2 fields"),
        (LINE + LINE, "tsv:2: u1 stands twice"),
        (
            LINE.replace('["maize", "rye"]', '["rye"]'),
            "tsv:1: u1: rare, but not on the list: maize",
        ),
        (LINE.replace('"rye"]', '"rye"'), "tsv:1: u1: "),
        (LINE.replace("sell", "buy"), "tsv:1: u1: the reference is not the transcript"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.tsv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_biasing(tmp_path / "x.tsv", {"u1": "sell the maize"})


@pytest.mark.parametrize(("split", "utterances"), [("test-clean", 86), ("test-other", 60)])
def test_real_lists(shared_data: Path, tmp_path: Path, split: str, utterances: int) -> None:
    """Against the published column of rare words, and the 5,000 words that define them."""
    sample = shared_data / "librispeech_sample"
    text = {u.id: u.text for u in read_split(sample, split)}
    write_data_dir(tmp_path, text=text)
    file = biasing_file(sample / "biasing", split, 100)
    add_biasing(tmp_path, file)
    lists = DataDir.load(tmp_path).bias_lists
    assert len(lists.own) == utterances and not check_data_dir(tmp_path)
    common = set((sample / "biasing/common_words_5k.txt").read_text().upper().split())
    for line in file.read_text().splitlines():
        utt, _, published, _ = line.split("\t")
        said = {word for word in text[utt].split() if word in lists.of(utt)}
        assert said == {word.upper() for word in json.loads(published)}
        assert said == set(text[utt].split()) - common
        assert 100 <= len(lists.of(utt)) <= 100 + len(said)  # a distractor may have been said


def test_a_file_of_another_split_is_refused(shared_data: Path, tmp_path: Path) -> None:
    write_data_dir(tmp_path, text={"u1": "sell the maize"})
    with pytest.raises(DataError, match="no list of an utterance"):
        add_biasing(tmp_path, shared_data / "librispeech_sample/biasing/test-clean.biasing_100.tsv")
