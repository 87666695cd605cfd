"""The call-centre layout, and the checks that egs/definedai promises."""

from pathlib import Path

import pytest

from speechllm.corpora.definedai import check_lists, read_set
from speechllm.errors import DataError
from tests.helpers.corpora import edit, make_definedai, make_wave

SETS = {"source_train": ["banking/c1", "healthcare/c7"], "banking_test": ["banking/c2"]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_definedai(tmp_path / "definedai", SETS)


def test_a_set_of_two_domains(root: Path) -> None:
    utterances = read_set(root, "source_train")
    assert len(utterances) == 12
    second = utterances[1]
    assert second.id == "banking-c1_caller-00000900" and second.speaker == "banking-c1_caller"
    assert second.text == second.text.upper() and "." not in second.text
    assert second.audio.source == str(root / "banking/audio/c1_caller.wav")
    assert (second.audio.start, second.audio.end) == pytest.approx((0.9, 1.7))
    assert {u.speaker.partition("-")[0] for u in utterances} == {"banking", "healthcare"}
    check_lists(root, list(SETS))


def test_transcripts_alone(root: Path) -> None:
    for wav in root.rglob("*.wav"):
        wav.unlink()
    assert all(u.audio is None for u in read_set(root, "source_train", with_audio=False))


def test_a_call_that_trains_and_tests(root: Path) -> None:
    (root / "lists/banking_test.txt").write_text("banking/c2\nbanking/c1\n")
    with pytest.raises(DataError, match=r"banking_test.txt:2: banking/c1 is in source_train too"):
        check_lists(root, list(SETS))


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "lists/source_train.txt",
            "healthcare/c7",
            "c7",
            "source_train.txt:2: not <domain>/<call>",
        ),
        ("lists/source_train.txt", "healthcare/c7", "../c7", "txt:2: not <domain>/<call>"),
        ("lists/source_train.txt", "healthcare/c7", "banking/c1", "also stands in line 1"),
        ("lists/source_train.txt", "c7", "c8", "source_train.txt:2: there is no "),
        ("banking/transcripts/c1.tsv", "\tend\t", "\tstop\t", "c1.tsv:1: columns channel, start"),
        ("banking/transcripts/c1.tsv", "\t0.80\t", "\tsoon\t", "c1.tsv:2: end is no number"),
        ("banking/transcripts/c1.tsv", "\t0.80\t", "\tnan\t", "c1.tsv:2: end is no number"),
        ("banking/transcripts/c1.tsv", "\t0.80\t", "\t0.00\t", "c1.tsv:2: ends at 0 s, and starts"),
        ("banking/transcripts/c1.tsv", "1.80\t", "0.70\t", "before the last of agent ends (0.8 s)"),
        ("banking/transcripts/c1.tsv", "caller\t", "call er\t", "c1.tsv:3: channel 'call er'"),
        ("banking/transcripts/c1.tsv", "caller\t", "third\t", "c1.tsv:3: there is no "),
    ],
)
def test_a_fault_is_named_by_line(root: Path, name: str, old: str, new: str, message: str) -> None:
    edit(root / name, old, new)
    with pytest.raises(DataError) as error:
        read_set(root, "source_train")
    assert message in str(error.value)


def test_a_call_with_both_sides_in_one_file(root: Path) -> None:
    make_wave(root / "banking/audio/c1_agent.wav", 6.0, channels=2)
    with pytest.raises(DataError, match=r"c1_agent.wav: 2 channels.*\n  -> write each channel"):
        read_set(root, "source_train")


def test_a_list_that_is_not_there(root: Path) -> None:
    with pytest.raises(DataError, match=r"banking_dev.txt: cannot be read .*\n  -> README.md"):
        read_set(root, "banking_dev")
