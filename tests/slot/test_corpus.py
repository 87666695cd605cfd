"""Data dirs of one domain as one set of utterances."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from speechllm.errors import DataError
from speechllm.slot.corpus import Corpus
from speechllm.slot.views import shown_by


def test_durations_are_asked_for_before_training(make_data_dir: Callable[..., Path]) -> None:
    path = make_data_dir()
    assert Corpus.load([path]).hours(["utt1", "utt2"]) == pytest.approx(2 / 3600)
    (path / "utt2dur").unlink()
    with pytest.raises(
        DataError, match=r"no durations: utt2dur\n  -> speechllm data fix .*set_train"
    ):
        Corpus.load([path]).open_frames(path, "encoder")


def test_speech_without_words_beside_words_without_speech(
    make_data_dir: Callable[..., Path], tmp_path: Path
) -> None:
    heard = make_data_dir("a_train", {"u1": "", "u2": "so he said"})
    read = make_data_dir("a_text", {"t1": "hello", "t2": "good morning"}, with_audio=False)
    corpus = Corpus.load([heard, read])
    assert corpus.has_audio and corpus.spoken == ["u1", "u2"]
    assert corpus.written == ["u2", "t1", "t2"]
    assert shown_by("audio", corpus) == ["u1", "u2"]
    assert shown_by("clean_text", corpus) == ["u2", "t1", "t2"]
    assert shown_by("empty", corpus) == ["u1", "u2", "t1", "t2"]
    alone = Corpus.load([read])
    assert not alone.has_audio and alone.spoken == []
    with pytest.raises(DataError, match="no audio"):
        alone.open_frames(tmp_path, "encoder")


def test_tokens_are_counted_in_parts(
    make_data_dir: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def tokenizer(texts: list[str], add_special_tokens: bool) -> SimpleNamespace:
        assert 0 < len(texts) <= 2 and not add_special_tokens
        return SimpleNamespace(input_ids=[text.split() for text in texts])

    monkeypatch.setattr("speechllm.slot.corpus.TEXTS_AT_ONCE", 2)
    text = {f"u{n}": "a " * n for n in range(1, 6)}
    corpus = Corpus.load([make_data_dir("a_text", text, with_audio=False)])
    assert corpus.measure(tokenizer, int).text_tokens == {f"u{n}": n for n in range(1, 6)}
