"""LibriSpeech's layout, and what is said of a copy with holes."""

from pathlib import Path

import pytest

from speechllm.corpora.librispeech import is_set, read_sets, read_split, split_of
from speechllm.errors import DataError
from tests.helpers.corpora import edit, make_librispeech

CHAPTER = "dev-clean/10/7000/10-7000"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_librispeech(tmp_path / "LibriSpeech", ["dev-clean"])


def test_a_split(root: Path) -> None:
    utterances = read_split(root, "dev-clean")
    assert [u.id for u in utterances] == [
        *("10-7000-0000", "10-7000-0001"),
        *("11-7001-0000", "11-7001-0001"),
    ]
    first = utterances[0]
    assert first.text == "THE COW EATS GREEN GRASS" and first.speaker == "10"
    assert first.audio and first.audio.source == str(root / f"{CHAPTER}-0000.flac")


def test_real_utterances(shared_data: Path) -> None:
    sample = shared_data / "librispeech_sample"
    counts = {"train-clean-5": 159, "dev-clean": 6, "test-clean": 86, "test-other": 60}
    assert {split: len(read_split(sample, split)) for split in counts} == counts


def test_three_speakers_of_a_set_may_be_dev(tmp_path: Path, shared_data: Path) -> None:
    sample = shared_data / "librispeech_sample"
    sets = dict(read_sets(sample, ["train_clean_5", "train_clean_5_dev", "dev_clean"]))
    speakers = {name: {u.speaker for u in utterances} for name, utterances in sets.items()}
    assert speakers["train_clean_5_dev"] == {"1088", "118", "163"}
    assert len(speakers["train_clean_5"]) == 25 and not (
        speakers["train_clean_5"] & speakers["train_clean_5_dev"]
    )
    assert sum(map(len, sets.values())) == 159 + 6
    assert len(dict(read_sets(sample, ["train_clean_5"]))["train_clean_5"]) == 159
    make_librispeech(tmp_path, ["dev-clean"])
    with pytest.raises(DataError, match="2 speakers, and dev_clean_dev takes 3 of them"):
        list(read_sets(tmp_path, ["dev_clean_dev"]))
    with pytest.raises(DataError, match="has no set train_dev"):
        list(read_sets(tmp_path, ["train_dev"]))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("10-7000-0001 SELL THE OLD TRACTOR TODAY", "10-7000-0001 ", "txt:2: 10-7000-0001 has no"),
        ("10-7000-0001", "10-7000-0009", "txt:2: there is no"),
        ("10-7000-0000", "11-7000-0000", "txt:1: not an utterance of 10-7000: 11-7000-0000"),
        ("10-7000-0001 SELL THE OLD TRACTOR TODAY\n", "", "txt: no line for 1 (10-7000-0001)"),
    ],
)
def test_a_transcript_that_does_not_fit(root: Path, old: str, new: str, message: str) -> None:
    edit(root / f"{CHAPTER}.trans.txt", old, new)
    with pytest.raises(DataError) as error:
        read_split(root, "dev-clean")
    assert message in str(error.value)


def test_what_is_not_there(root: Path) -> None:
    (root / f"{CHAPTER}-0001.flac").unlink()
    with pytest.raises(DataError, match=r"trans.txt:2: there is no .*10-7000-0001.flac"):
        read_split(root, "dev-clean")
    (root / f"{CHAPTER}.trans.txt").unlink()
    with pytest.raises(DataError, match=r"trans.txt: cannot be read"):
        read_split(root, "dev-clean")
    for split, number in (("dev-other", 12), ("dev-clean-2", 31)):
        what = f"{root}: LibriSpeech's {split} is not here, only dev-clean"
        remedy = f"unpack it from https://www.openslr.org/{number} into {root}"
        with pytest.raises(DataError, match=f"{what}\n  -> {remedy}"):
            read_split(root, split)
    with pytest.raises(DataError, match="nor any other split\n  -> --librispeech_root"):
        read_split(root / "dev-clean", "dev-other")
    (root / "dev-other").mkdir()
    with pytest.raises(DataError, match="no <speaker>/<chapter>/"):
        read_split(root, "dev-other")


def test_names_of_data_dirs() -> None:
    assert is_set("train_clean_100") and is_set("train_clean_5") and not is_set("train_clean_10")
    assert split_of("test_other") == "test-other"
    with pytest.raises(DataError, match="no set train_100, did you mean 'train_clean_100'"):
        split_of("train_100")
