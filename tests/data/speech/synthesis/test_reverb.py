from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechllm.data.speech.synthesis.reverb import (
    made_response,
    make_room,
    read_responses,
    reverberate,
)
from speechllm.errors import ConfigError

SPEECH = np.sin(np.arange(4000)).astype(np.float32) * 0.5


def test_a_made_response_falls_by_60_db_in_its_time() -> None:
    response = made_response(0.5, np.random.default_rng(0))
    assert len(response) == 8000 and response[0] == 1
    assert np.linalg.norm(response[1:]) == pytest.approx(10**-0.3, abs=1e-5)  # - 6 dB
    early, late = response[100:900], response[7100:7900]  # 7000 samples apart: 52.5 dB
    assert 20 * np.log10(np.std(early) / np.std(late)) == pytest.approx(52.5, abs=1.5)


def test_convolution_by_hand() -> None:
    found = reverberate(np.array([0.5, 0, 0.25], np.float32), np.array([1, 0.5], np.float32))
    np.testing.assert_allclose(found, [0.5, 0.25, 0.25, 0.125], atol=1e-6)


def test_a_room_depends_on_seed_and_utterance_alone() -> None:
    room = make_room(0.2, None, 7)
    np.testing.assert_array_equal(room("a", SPEECH), make_room(0.2, None, 7)("a", SPEECH))
    assert not np.array_equal(room("a", SPEECH), room("b", SPEECH))
    assert not np.array_equal(room("a", SPEECH), make_room(0.2, None, 8)("a", SPEECH))
    assert np.abs(room("a", SPEECH)).max() == pytest.approx(np.abs(SPEECH).max())
    np.testing.assert_array_equal(make_room(None, None, 7)("a", SPEECH), SPEECH)


def test_recorded_responses_begin_with_the_direct_sound(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "room.wav", np.array([0, 0.1, 0.8, 0.4, 0]), 16000)
    (tmp_path / "list").write_text(f"{tmp_path}/room.wav\n")
    (response,) = read_responses(str(tmp_path / "list"))
    np.testing.assert_allclose(response, [0.8, 0.4, 0], atol=1e-4)
    wet = make_room(None, str(tmp_path / "list"), 0)("a", SPEECH)
    np.testing.assert_allclose(wet, reverberate(SPEECH, response), atol=1e-6)


def test_silence_stays_silence_and_is_no_response(tmp_path: Path) -> None:
    silence = np.zeros(100, np.float32)
    np.testing.assert_array_equal(reverberate(silence, np.ones(3, np.float32)), np.zeros(102))
    soundfile.write(tmp_path / "room.wav", silence, 16000)
    (tmp_path / "list").write_text(f"{tmp_path}/room.wav\n")
    with pytest.raises(ConfigError, match=r"room_responses: .*room\.wav holds nothing but silence"):
        read_responses(str(tmp_path / "list"))


def test_an_unusable_list_names_the_key(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    for name, message in (("nowhere", "cannot be read"), ("empty", "names no file")):
        with pytest.raises(ConfigError, match=f"room_responses: .*{message}"):
            read_responses(str(tmp_path / name))
