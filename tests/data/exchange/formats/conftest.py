"""Sets that hold all that a data dir can hold."""

from collections.abc import Callable
from pathlib import Path

import pytest

from speechllm.data.dirs.kaldi import write_data_dir, write_table

TEXT = {"a-1": "hello  world", "a-2": 'the "sugar beet", naïve', "b-1": "two aphids; one,\u3000人"}
ENTITIES = {"a-2": [{"type": "crop", "text": "sugar beet", "score": 0.9}]}


@pytest.fixture
def whole_set(make_data_dir: Callable[..., Path]) -> Path:
    """A set of whole files, with entities and two tables that nobody knows, one of them partial."""
    path = make_data_dir("whole", text=TEXT, entities=ENTITIES)
    write_table(path / "semantics", {"a-2": '{"intent": "plant"}', "b-1": "none"})
    write_table(path / "utt2lang", dict.fromkeys(TEXT, "en"))
    return path


@pytest.fixture
def cut_set(make_data_dir: Callable[..., Path]) -> Path:
    """Parts of recordings; durations that are not those of the cuts, and an open end."""
    wav = make_data_dir("recordings", text={"rec_a": "x", "rec_b": "x"}, seconds=3.0) / "wav.scp"
    path = wav.parents[1] / "cut"
    write_data_dir(
        path,
        text=TEXT,
        wav=dict(line.split() for line in wav.read_text().splitlines()),
        segments={
            "a-1": ("rec_a", 0.1, 0.3),
            "a-2": ("rec_a", 0.3125, 3.02),
            "b-1": ("rec_b", 1.25, None),
        },
        utt2spk={"a-1": "a", "a-2": "a", "b-1": "b"},
        utt2dur={"a-1": 0.2, "a-2": 2.6875, "b-1": 1.75},
        entities=ENTITIES,
    )
    write_table(path / "utt2lang", dict.fromkeys(TEXT, "en"))
    return path


@pytest.fixture
def text_set(make_data_dir: Callable[..., Path]) -> Path:
    """Transcripts alone."""
    return make_data_dir("words", text=TEXT, entities=ENTITIES, with_audio=False)
