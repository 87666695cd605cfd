"""Files of every kind whose headers tell the truth, or do not: the samples decide."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech.audio import (
    AudioError,
    audio_duration,
    copy_utterance,
    load_audio,
    read_audio,
    read_header,
)

RATE = 16000
COUNT = 40_000  # samples, 2.5 s


def sound(rate: int = RATE, count: int = COUNT, seed: int = 0) -> np.ndarray:
    """Something like speech: noise that is louder at low frequencies and swells."""
    rng = np.random.default_rng(seed)
    wave = np.convolve(rng.normal(0, 1, count), np.ones(8) / 8, mode="same")
    wave *= 1 + np.sin(np.arange(count) / rate * 9)
    return (0.4 * wave / np.abs(wave).max()).astype(np.float32)


def whole(path: Path, rate: int = RATE) -> np.ndarray:
    return load_audio(Audio(str(path)), rate)


def number(content: bytearray, at: int, value: int, order: str = "<I") -> None:
    struct.pack_into(order, content, at, value)


def chunk_at(content: bytes, name: bytes) -> int:
    """Where the length of a chunk stands."""
    return content.index(name) + len(name)


CONTAINERS = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("WAV", "DOUBLE"),
    ("WAV", "ULAW"),
    ("WAV", "IMA_ADPCM"),
    ("WAV", "MS_ADPCM"),
    ("WAV", "GSM610"),
    ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AIFF", "ALAW"),
    ("AU", "PCM_16"),
    ("AU", "G721_32"),
    ("CAF", "PCM_16"),
    ("CAF", "ALAC_16"),
    ("NIST", "PCM_16"),
    ("NIST", "ULAW"),
    ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
    ("VOC", "PCM_16"),
]


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100])
@pytest.mark.parametrize(("kind", "subtype"), CONTAINERS)
def test_length_cuts_and_copies_are_those_of_the_samples(tmp_path, kind, subtype, rate):
    if (subtype == "OPUS" and rate not in (8000, 16000, 24000)) or (
        subtype == "GSM610" and rate != 8000
    ):
        pytest.skip(f"{subtype} has no such rate")
    path = tmp_path / f"a.{kind.lower()}"
    soundfile.write(path, sound(rate), rate, subtype=subtype, format=kind)
    heard = whole(path, rate)
    assert 0 <= len(heard) - COUNT < 2048  # codecs of blocks fill up the last one
    assert np.corrcoef(heard[:COUNT], sound(rate))[0, 1] > (0.5 if rate < 16000 else 0.8)
    assert audio_duration(Audio(str(path))) == len(heard) / rate
    for start, end in ((0.0, 0.1), (0.3, 0.9), (1234 / rate, 1235 / rate), (0.1, None)):
        cut = Audio(str(path), start, end)
        first, last = (None if t is None else round(t * rate) for t in (start, end))
        np.testing.assert_array_equal(load_audio(cut, rate), heard[first:last])
        assert audio_duration(cut) == len(heard[first:last]) / rate
    copy = copy_utterance(Audio(str(path), 0.3, 0.9), tmp_path / "copy")
    copied = soundfile.read(copy, dtype="float32")[0]
    np.testing.assert_allclose(copied, heard[round(0.3 * rate) : round(0.9 * rate)], atol=2**-14)


def as_streamed(content: bytearray) -> None:
    """What a writer leaves who could not go back."""
    number(content, 4, 0xFFFFFFFF)
    number(content, chunk_at(content, b"data"), 0xFFFFFFFF)


def as_begun(content: bytearray) -> None:
    """What libsndfile leaves when it is killed."""
    number(content, 4, 8)
    number(content, chunk_at(content, b"data"), 0)


def as_killed(content: bytearray) -> None:
    """What a recorder leaves that meant to come back."""
    number(content, 4, 0)
    number(content, chunk_at(content, b"data"), 0)


def killed_aiff(content: bytearray) -> None:
    number(content, chunk_at(content, b"SSND"), 0, ">I")


def streamed_caf(content: bytearray) -> None:
    number(content, chunk_at(content, b"data"), 0xFFFFFFFFFFFFFFFF, ">Q")


def with_chunks(content: bytearray) -> None:
    """Chunks on either side of the samples, in an order that is rare."""
    at = content.index(b"data")
    content[at:at] = b"junk" + struct.pack("<I", 6) + b"abcdef"
    content += b"LIST" + struct.pack("<I", 4) + b"INFO" + b"note" + struct.pack("<I", 3) + b"x y\0"
    number(content, 4, len(content) - 8)


def padded(content: bytearray) -> None:
    content += bytes(4096)


def unknown_flac(content: bytearray) -> None:
    content[21] &= 0xF0
    content[22:26] = bytes(4)


def short_flac(content: bytearray) -> None:
    unknown_flac(content)
    number(content, 22, COUNT // 2, ">I")


def id3(content: bytearray) -> None:
    content[:0] = b"ID3\x04\0\0\0\0\0\x0a" + b"TIT2\0\0\0\0\0\0"
    content += b"TAG" + bytes(125)


def tagged_flac(content: bytearray) -> None:
    short_flac(content)
    content[:0] = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)


def ape(content: bytearray) -> None:
    content[:0] = b"APETAGEX" + struct.pack("<IIII8x", 2000, 32, 0, 0xA0000000)


@pytest.mark.parametrize(
    ("kind", "lie", "note"),
    [
        ("WAV", as_streamed, ""),
        ("WAV", as_begun, ""),
        ("WAV", as_killed, ""),
        ("AIFF", killed_aiff, ""),
        ("CAF", streamed_caf, ""),
        ("WAV", with_chunks, ""),
        ("WAV", padded, ""),
        ("FLAC", unknown_flac, ""),
        ("FLAC", short_flac, "header of the FLAC file counts fewer samples than it holds"),
        ("FLAC", tagged_flac, "header of the FLAC file counts fewer samples than it holds"),
        ("MP3", id3, ""),
        ("MP3", ape, ""),
    ],
)
def test_all_samples_are_read_whatever_the_header_says(tmp_path, kind, lie, note):
    path = tmp_path / f"a.{kind.lower()}"
    soundfile.write(path, sound(), RATE, format=kind)
    heard = whole(path)
    content = bytearray(path.read_bytes())
    lie(content)
    path.write_bytes(content)
    np.testing.assert_array_equal(whole(path), heard)
    header = read_header(Audio(str(path)))
    assert header.seconds == len(heard) / RATE
    assert [n[: len(note)] for n in header.notes] == [note] * bool(note)
    np.testing.assert_array_equal(load_audio(Audio(str(path), 2.0, 2.4)), heard[32000:38400])
    np.testing.assert_array_equal(load_audio(Audio(f"cat {path} |"), allow_pipes=True), heard)


LENGTHS = {  # container -> where a length stands, and how: bytes of samples, or samples
    "WAV": (lambda c: chunk_at(c, b"data"), "<I", 2, 0),
    "RF64": (lambda c: 28, "<Q", 2, 0),
    "W64": (lambda c: c.index(b"data") + 16, "<Q", 2, 24),
    "AIFF": (lambda c: chunk_at(c, b"SSND"), ">I", 2, 8),
    "AU": (lambda c: 8, ">I", 2, 0),
    "CAF": (lambda c: chunk_at(c, b"data"), ">Q", 2, 4),
}


@pytest.mark.parametrize("kind", [*LENGTHS, "NIST", "FLAC", "MP3"])
def test_a_file_that_lacks_what_its_header_promises_is_truncated(tmp_path, kind):
    path = tmp_path / f"a.{kind.lower()}"
    soundfile.write(path, sound(), RATE, format=kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    for call in (read_header, load_audio):
        with pytest.raises(AudioError, match=r"truncated|cannot be (decoded|read)"):
            call(Audio(str(path)))


def test_an_ogg_file_without_its_end_is_told(tmp_path):
    path = tmp_path / "a.ogg"
    soundfile.write(path, sound(count=20 * RATE), RATE)
    path.write_bytes(path.read_bytes()[:-3000])
    assert read_header(Audio(str(path))).notes == ("Ogg stream has no end: is it truncated?",)
    first = path.read_bytes()
    soundfile.write(path, sound(), RATE)
    path.write_bytes(path.read_bytes() + first)
    assert "several streams" in read_header(Audio(str(path))).notes[0]


def test_sphere_files_may_count_the_samples_of_all_channels(tmp_path):
    path = tmp_path / "a.nist"
    soundfile.write(path, np.stack([sound(), sound(seed=1)], axis=1), RATE, "PCM_16")
    heard = whole(path)
    count = b"sample_count -i %d" % COUNT
    path.write_bytes(path.read_bytes().replace(count, b"sample_count -i %d" % (2 * COUNT)))
    np.testing.assert_array_equal(whole(path), heard)


def test_truncated_speech_of_nist_in_u_law(tmp_path):
    path = tmp_path / "a.nist"
    soundfile.write(path, sound(), RATE, "ULAW")
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(AudioError, match="truncated"):
        read_header(Audio(str(path)))


@pytest.mark.parametrize("kind", list(LENGTHS))
def test_what_a_header_does_not_count_is_told(tmp_path, kind):
    path = tmp_path / f"a.{kind.lower()}"
    soundfile.write(path, sound(), RATE, format=kind)
    content = bytearray(path.read_bytes())
    where, order, width, more = LENGTHS[kind]
    number(content, where(content), COUNT // 4 * width + more, order)
    path.write_bytes(content)
    header = read_header(Audio(str(path)))
    assert header.seconds == COUNT / 4 / RATE == len(whole(path)) / RATE
    assert header.notes == ("bytes that the header does not count are not read: are they samples?",)


def test_a_flac_file_in_which_nothing_can_be_sought(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, sound(), RATE)
    content = bytearray(path.read_bytes())
    content[10:12] = b"\xff\xff"  # the size of the largest block
    path.write_bytes(content)
    heard = whole(path)
    np.testing.assert_array_equal(heard, soundfile.read(path, dtype="float32")[0])
    cut = Audio(str(path), 1.0, 1.5)
    np.testing.assert_array_equal(load_audio(cut), heard[RATE : RATE * 3 // 2])
    copy = soundfile.read(copy_utterance(cut, tmp_path / "copy"), dtype="float32")[0]
    np.testing.assert_allclose(copy, heard[RATE : RATE * 3 // 2], atol=2**-14)


def test_a_flac_file_that_promises_more_than_there_is_asks_for_no_memory(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, sound(), RATE)
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)
    for audio in (Audio(str(path)), Audio(str(path), 1.0, 2.0)):
        for call in (read_header, load_audio):
            with pytest.raises(AudioError, match="truncated: 40000 of 68719476735 samples"):
                call(audio)


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2_000_000_000])
def test_a_rate_that_no_speech_has(tmp_path, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(), RATE)
    content = bytearray(path.read_bytes())
    number(content, 24, rate)
    path.write_bytes(content)
    for call in (read_header, load_audio):
        with pytest.raises(AudioError, match=f"no audio of speech has {rate} Hz"):
            call(Audio(str(path)))


@pytest.mark.parametrize("size", [1e30, 3.3e38])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_huge_floats_stay_numbers_or_are_refused(tmp_path, size, channels):
    path = tmp_path / "a.wav"
    wave = np.repeat(size * np.sign(sound())[:, None], channels, axis=1).astype(np.float32)
    soundfile.write(path, wave, RATE, subtype="FLOAT")
    np.testing.assert_allclose(whole(path), wave[:, 0], rtol=1e-6)
    try:
        assert np.isfinite(whole(path, 8000)).all()
    except AudioError as error:
        assert error.reason == "samples are too large to be resampled"


def inverted(left: np.ndarray) -> np.ndarray:
    return np.stack([left, -left], axis=1)


def nearly_inverted(left: np.ndarray) -> np.ndarray:
    return np.stack([left + 0.01, -0.99 * left], axis=1)


def constant(left: np.ndarray) -> np.ndarray:
    return np.full_like(left, 0.25)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (inverted, ["the channels cancel each other out", "all samples are equal"]),
        (nearly_inverted, ["the channels cancel each other out"]),
        (constant, ["all samples are equal"]),
        (np.zeros_like, ["all samples are equal"]),
    ],
)
def test_silence_is_told(tmp_path, make: Callable, told: list[str]):
    path = tmp_path / "a.wav"
    soundfile.write(path, make(sound()), RATE, subtype="FLOAT")
    notes = read_audio(Audio(str(path)), RATE).notes
    assert len(notes) == len(told)
    assert all(note.startswith(start) for note, start in zip(notes, told, strict=True))


def test_only_the_channel_that_is_named_must_hold_numbers(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([sound(), np.full(COUNT, np.nan)], 1), RATE, subtype="FLOAT")
    np.testing.assert_array_equal(load_audio(Audio(str(path), channel=0)), sound())
    for channel in (1, None):
        with pytest.raises(AudioError, match="NaN or Inf"):
            load_audio(Audio(str(path), channel=channel))


def test_a_channel_can_be_named(tmp_path):
    left, right = sound(), sound(seed=1)
    for kind in ("wav", "ogg"):
        path = tmp_path / f"a.{kind}"
        soundfile.write(path, np.stack([left, right], axis=1), RATE)
        both = soundfile.read(path, dtype="float32")[0]
        for channel in (0, 1):
            audio = Audio(str(path), channel=channel)
            np.testing.assert_array_equal(load_audio(audio), both[:, channel])
            cut = Audio(str(path), 0.5, 1.0, channel=channel)
            np.testing.assert_array_equal(load_audio(cut), both[8000:16000, channel])
            copy = soundfile.read(copy_utterance(cut, tmp_path / "copy"), dtype="float32")[0]
            np.testing.assert_allclose(copy, both[8000:16000, channel], atol=2**-14)
        for call in (load_audio, read_header):
            with pytest.raises(AudioError, match="no such channel: channel 2 of 2"):
                call(Audio(str(path), channel=2))
