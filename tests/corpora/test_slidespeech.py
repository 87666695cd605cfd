"""SlideSpeech's audio folders and the published splits, as JSON lines."""

from pathlib import Path

import pytest

from speechllm.corpora.slidespeech import read_split, read_text_table, split_file
from speechllm.errors import DataError
from tests.helpers.corpora import edit, make_slidespeech

TRAIN = "agriculture/slidespeech_L95_agriculture_train.jsonl"
KEY = "agriculture_0003-00001"


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[Path, Path]:
    make_slidespeech(tmp_path / "audio", tmp_path / "splits", ["agriculture"])
    return tmp_path / "audio", tmp_path / "splits"


def test_the_published_files(corpus: tuple[Path, Path]) -> None:
    root, splits = corpus
    utterances = read_split(split_file(splits, "agriculture_train"), root)
    assert [u.id for u in utterances] == [f"agriculture_0003-{n:05d}" for n in range(4)]
    assert utterances[1].speaker == "agriculture_0003"
    assert utterances[1].text == "OPEN THE GATE FOR THE SHEEP"
    assert utterances[1].audio.source == str(root / f"agriculture/audios/{KEY}.wav")
    dev = read_split(split_file(splits, "source_dev"), root)
    assert {u.speaker.rpartition("_")[0] for u in dev} == {"pet", "dance"}


def test_transcripts_alone_need_no_audio(corpus: tuple[Path, Path]) -> None:
    root, splits = corpus
    utterances = read_split(splits / TRAIN, root / "nowhere", with_audio=False)
    assert len(utterances) == 4 and all(u.audio is None for u in utterances)


def test_sets_that_were_not_published(corpus: tuple[Path, Path]) -> None:
    _, splits = corpus
    with pytest.raises(DataError, match="no set agricultur_train, did you mean 'agriculture_tra"):
        split_file(splits, "agricultur_train")
    with pytest.raises(DataError, match=r"animation_dev.jsonl: there is no .*\n  -> --splits"):
        split_file(splits, "animation_dev")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"target": "OPEN THE GATE FOR THE SHEEP"', '"target": " "', ":2: 'target' is missing"),
        ('"target": "OPEN THE GATE FOR THE SHEEP"', '"taget": "A"', ":2: unknown key 'taget', did"),
        (
            '"target": "OPEN THE GATE FOR THE SHEEP"',
            '"target": 3',
            ":2: 'target' is missing, empty",
        ),
        (', "target": "OPEN THE GATE FOR THE SHEEP"', "", ":2: 'target' is missing"),
        (f'"key": "{KEY}"', '"key": "agriculture-1"', ":2: not <domain>_<video>-<segment>"),
        (f'"key": "{KEY}"', '"key": "agriculture_0003-00000"', "also stands in line 1"),
        (
            f'"key": "{KEY}"',
            '"key": "agriculture_0003-00077"',
            ":2: the source of agriculture_0003",
        ),
        (f'"key": "{KEY}"', f'"key": "a", "key": "{KEY}"', ":2: broken JSON: a key stands twice"),
        (f"audios/{KEY}.wav", f"audio/{KEY}.wav", ":2: there is no "),
        ('{"key"', '["key"', ":1: broken JSON"),
    ],
)
def test_a_broken_line_is_named(
    corpus: tuple[Path, Path], old: str, new: str, message: str
) -> None:
    root, splits = corpus
    path = edit(splits / TRAIN, old, new)
    with pytest.raises(DataError) as error:
        read_split(path, root)
    said = str(error.value)
    assert f"{TRAIN}:" in said and message in said


def test_a_kaldi_text_of_the_corpus(corpus: tuple[Path, Path], tmp_path: Path) -> None:
    root, _ = corpus
    path = tmp_path / "train.text"
    path.write_text(f"{KEY} OPEN THE GATE\nlife_0000-00000 HELLO\n")
    utterances = read_text_table(path, root)
    assert [u.audio.source for u in utterances] == [
        str(root / f"agriculture/audios/{KEY}.wav"),
        str(root / "life/audios/life_0000-00000.wav"),
    ]
    path.write_text(f"{KEY} OPEN THE GATE\nlife_0000-00099 HELLO\n")
    with pytest.raises(DataError, match=r"train.text:2: there is no .*life_0000-00099.wav"):
        read_text_table(path, root)
    path.write_text("life-1 HELLO\n")
    with pytest.raises(DataError, match=r"train.text:1: not <domain>_<video>"):
        read_text_table(path, root, with_audio=False)
