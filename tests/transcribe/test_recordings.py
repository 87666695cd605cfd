"""What files, folders, wav.scp files and data dirs mean to `transcribe`."""

from pathlib import Path

import pytest
import soundfile

from speechllm.data.speech.audio import AudioError, load_audio
from speechllm.errors import DataError
from speechllm.transcribe.recordings import find_recordings


@pytest.fixture
def audio(tmp_path: Path, tone) -> Path:
    for name in ("a.wav", "b.FLAC", "deep/a.wav", "deep/.hidden.wav", ".trash/x.wav"):
        path = tmp_path / "audio" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone(0.2), 16000, format=path.suffix[1:].upper())
    (tmp_path / "audio/notes.txt").write_text("not audio")
    return tmp_path / "audio"


def test_a_folder_is_searched_for_audio(audio: Path) -> None:
    found = {r.id: Path(r.audio.source) for r in find_recordings(audio)}
    assert found == {
        "a": audio / "a.wav",
        "b": audio / "b.FLAC",
        "a-2": audio / "deep/a.wav",
    }


def test_a_wav_scp_gives_its_ids_and_a_data_dir_its_segments(audio: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "wav.scp").write_text(f"rec1 {audio}/a.wav\nrec2 {audio}/b.FLAC\n")
    assert [r.id for r in find_recordings(data / "wav.scp")] == ["rec1", "rec2"]
    (data / "segments").write_text("u1 rec1 0.05 0.15\n")
    (segment,) = find_recordings(str(data))
    assert (segment.id, segment.audio.start, segment.audio.end) == ("u1", 0.05, 0.15)


def test_several_places_keep_their_order_and_ids_differ(audio: Path) -> None:
    found = find_recordings([audio / "b.FLAC", audio / "a.wav", audio / "deep/a.wav", "gone.wav"])
    assert [r.id for r in found] == ["b", "a", "a-2", "gone"]


@pytest.mark.parametrize("name", ["..wav", "a/../../etc passwd.wav", "x\ny.wav", "...."])
def test_an_id_is_never_a_path(name: str) -> None:
    (recording,) = find_recordings(Path(name))
    assert recording.id and not set("/\\\n ") & set(recording.id) and ".." not in recording.id


def test_a_command_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wav.scp").write_text("r touch made |\n")
    (recording,) = find_recordings(tmp_path)
    with pytest.raises(AudioError, match="not allowed"):
        load_audio(recording.audio)
    with pytest.raises(DataError, match="must not end in"):
        find_recordings("touch made |")
    assert not (tmp_path / "made").exists()


def test_nothing_to_transcribe_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no audio in"):
        find_recordings(tmp_path)
