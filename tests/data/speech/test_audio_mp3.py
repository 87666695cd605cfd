"""MP3 files: a row of frames, which are counted where the first one does not tell."""

import struct

import numpy as np
import pytest
import soundfile

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech.audio import load_audio, read_header
from tests.data.speech.test_audio_zoo import COUNT, RATE, number, sound, whole


def vbr_without_count(content: bytearray) -> None:
    """The first frame, which holds nothing but the number of frames, is cut out."""
    assert content[13:17] == b"Xing" or content[21:25] == b"Xing" or content[36:40] == b"Xing"
    del content[: content.index(content[:2], 4)]


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
@pytest.mark.parametrize("first", ["loud", "quiet"])
def test_an_mp3_of_variable_rate_that_counts_nothing(tmp_path, rate, first):
    """libsndfile's estimate follows the first frame: too high, or so low that it stops early."""
    path = tmp_path / "a.mp3"
    wave = sound(rate, 3 * rate)
    wave[slice(rate, None) if first == "loud" else slice(2 * rate)] *= 1e-3
    soundfile.write(path, wave, rate, bitrate_mode="VARIABLE", compression_level=0.5)
    content = bytearray(path.read_bytes())
    frames = struct.unpack_from(">I", content, content.index(b"Xing") + 8)[0]
    vbr_without_count(content)
    path.write_bytes(content)
    heard = whole(path, rate)
    assert len(heard) == frames * (1152 if rate >= 32000 else 576)
    assert read_header(Audio(str(path))).seconds == len(heard) / rate
    loud = slice(0, rate) if first == "loud" else slice(2 * rate, 3 * rate)
    found = np.correlate(heard, wave[loud], "valid")
    delay = int(np.argmax(found)) - loud.start
    assert 500 < delay < 2500  # of encoder and decoder, which the lost frame counted
    moved = heard[delay:][loud]
    assert np.corrcoef(moved, wave[loud][: len(moved)])[0, 1] > 0.8
    np.testing.assert_array_equal(
        load_audio(Audio(str(path), 1.5, 2.5), rate), heard[round(1.5 * rate) : round(2.5 * rate)]
    )


def test_an_mp3_whose_first_frame_counts_too_few(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, sound(), RATE)
    content = bytearray(path.read_bytes())
    number(content, content.index(b"Xing") + 8, 20, ">I")
    path.write_bytes(content)
    assert len(whole(path)) >= COUNT
    assert "fewer frames than it holds" in read_header(Audio(str(path))).notes[0]


TAG = b"TAG" + bytes(125)


def test_mp3_files_in_a_row_are_read_to_the_end(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, sound(), RATE)
    content = path.read_bytes()
    for between in (b"", TAG, bytes(100)):
        path.write_bytes(content + between + content + TAG)
        header = read_header(Audio(str(path)))
        assert header.seconds == len(whole(path)) / RATE >= 2 * COUNT / RATE
        assert "fewer frames than it holds" in header.notes[0]


@pytest.mark.parametrize("other", [(RATE, 2), (24000, 1)])
@pytest.mark.parametrize("between", [b"", TAG])
def test_an_mp3_that_changes_its_rate_or_channels_says_so(tmp_path, other, between):
    path, rate, channels = tmp_path / "a.mp3", *other
    soundfile.write(path, sound(), RATE)
    first = path.read_bytes()
    soundfile.write(path, np.stack([sound()] * channels, axis=1), rate)
    path.write_bytes(first + between + path.read_bytes())
    header = read_header(Audio(str(path)))
    assert header.seconds == len(whole(path)) / RATE < 3
    assert header.notes == ("MP3 file changes its rate or channels, and is read up to there",)


def test_an_mp3_that_lacks_its_last_frame_is_as_long_as_its_samples(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, sound(), RATE)
    content = path.read_bytes()
    last = content.rindex(content[:2])
    assert 0 < len(content) - last < 600
    path.write_bytes(content[:last])
    assert read_header(Audio(str(path))).seconds == len(whole(path)) / RATE < COUNT / RATE


def test_an_mp3_that_ends_in_the_midst_of_a_frame_is_told(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, sound(), RATE)
    content = bytearray(path.read_bytes())
    vbr_without_count(content)
    path.write_bytes(content)
    assert not read_header(Audio(str(path))).notes
    path.write_bytes(content[: len(content) // 2])
    header = read_header(Audio(str(path)))
    assert "in the midst of a frame" in header.notes[0]
    assert header.seconds == len(whole(path)) / RATE
