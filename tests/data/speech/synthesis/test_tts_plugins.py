"""Plug-ins: what they give, what they are refused, and that every failure names the utterance."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from speechllm.config import parse
from speechllm.data.speech.synthesis.tts_plugins import EspeakVoices, TtsConfig, make_speaker
from speechllm.errors import ConfigError

TONE = """
import sys, numpy, soundfile
text = open(sys.argv[1]).read().strip()
soundfile.write(sys.argv[2], 0.1 * numpy.ones(100 * len(text)), 8000)
"""


def plugin(**values: object) -> TtsConfig:
    return parse(TtsConfig, values, "tts.yaml")


def command(code: str, timeout: float = 20) -> TtsConfig:
    argv = [sys.executable, "-c", code, "{text_file}", "{out}"]
    return plugin(command={"argv": argv, "timeout": timeout}, allow_commands=True)


def python(monkeypatch: pytest.MonkeyPatch, function: Callable[[str], object]) -> TtsConfig:
    module = type(sys)("my_tts")
    module.say = function
    monkeypatch.setitem(sys.modules, "my_tts", module)
    return plugin(python="my_tts:say", allow_commands=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "exactly one of"),
        ({"espeak": {}, "python": "a:b"}, "exactly one of"),
        ({"python": "a:b"}, "python runs code: set allow_commands: true"),
        ({"command": {"argv": ["x", "{text_file}", "{out}"]}}, "command runs code"),
        ({"command": {"argv": ["x", "{out}"]}, "allow_commands": True}, "no argument holds {text_"),
        ({"espeak": {"rate": [200, 100]}}, "from, to"),
        ({"espeak": {"pitch": [0, 100]}}, "espeak.pitch"),
        ({"espeak": {"accent": ["en-us"]}}, "did you mean 'accents'"),
    ],
)
def test_wrong_settings_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plugin(**values)


def test_a_command_reads_the_text_file_and_its_audio_is_resampled() -> None:
    samples = make_speaker(command(TONE), 0)("u", "hello")
    assert samples.dtype == np.float32 and len(samples) == 1000


def test_a_command_gets_its_arguments_without_a_shell(tmp_path: Path) -> None:
    config = command(TONE)
    spoken = make_speaker(config, 0)("u", f"$(touch {tmp_path}/x); `touch {tmp_path}/x`")
    assert len(spoken) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit('no voice')", "utterance u: exit status 1: no voice"),
        ("pass", "utterance u: .*audio file is missing"),
        ("import sys; open(sys.argv[2], 'w').write('x')", "utterance u: .*cannot be read"),
        (TONE.replace("0.1 *", "0 *"), "utterance u: the samples are silence"),
    ],
)
def test_a_command_that_fails_names_the_utterance(code: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_speaker(command(code), 0)("u", "hello")


def test_a_command_is_bounded_in_time_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()
    with pytest.raises(ConfigError, match=r"utterance u: the command ran longer than 0.3 s"):
        make_speaker(command("import time; time.sleep(60)", timeout=0.3), 0)("u", "hello")
    monkeypatch.setattr("speechllm.data.speech.synthesis.tts_plugins.MOST_BYTES", 1000)
    talkative = "import time; print('x' * 5000, flush=True); time.sleep(60)"
    with pytest.raises(ConfigError, match="utterance u: the command wrote more than 1000 bytes"):
        make_speaker(command(talkative), 0)("u", "hello")
    assert time.monotonic() - started < 20


def test_a_program_that_is_not_there() -> None:
    config = plugin(command={"argv": ["/no/tts", "{text_file}", "{out}"]}, allow_commands=True)
    with pytest.raises(ConfigError, match="utterance u: FileNotFoundError"):
        make_speaker(config, 0)("u", "hello")


def test_a_python_function(monkeypatch: pytest.MonkeyPatch) -> None:
    speak = make_speaker(python(monkeypatch, lambda text: ([0.1] * 800, 8000)), 0)
    assert len(speak("u", "hello")) == 1600


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda text: 1 / 0, "utterance u: ZeroDivisionError"),
        (lambda text: ([], 16000), "utterance u: the samples are silence"),
        (lambda text: ([[0.1, 0.2]], 16000), "2 dimensions"),
        (lambda text: ([0.1, float("nan")], 16000), "hold NaN"),
        (lambda text: (np.ones(16001 * 600), 16000), "last longer than 600 s"),
    ],
)
def test_a_python_function_that_fails(
    monkeypatch: pytest.MonkeyPatch, answer: Callable, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_speaker(python(monkeypatch, answer), 0)("u", "hello")


def test_a_python_function_that_is_not_there() -> None:
    config = plugin(python="speechllm.nothing:say", allow_commands=True)
    with pytest.raises(ConfigError, match=r"tts\.python: speechllm\.nothing:say cannot be found"):
        make_speaker(config, 0)


def test_voices_are_drawn_for_each_utterance_from_the_seed() -> None:
    voices = EspeakVoices()
    assert voices.draw(1, "u") == voices.draw(1, "u") != voices.draw(2, "u")
    drawn = [voices.draw(1, f"u{i}") for i in range(200)]
    assert {voice.variant for voice in drawn} == set(voices.variants)
    assert min(v.rate for v in drawn) >= 150 and max(v.rate for v in drawn) <= 200
    assert min(v.pitch for v in drawn) >= 35 and max(v.pitch for v in drawn) <= 65


def test_words_may_be_given_to_espeak_otherwise() -> None:
    pytest.importorskip("espeakng_loader", reason="needs pip install 'speechllm[mini]'")
    voices = {"variants": ["m1"], "rate": [150, 150], "pitch": [50, 50]}
    plain = make_speaker(plugin(espeak=voices), 1)
    told = make_speaker(plugin(espeak={**voices, "say": {"a": "eigh"}}), 1)
    assert np.array_equal(told("u", "a b a"), plain("u", "eigh b eigh"))
    assert not np.array_equal(told("u", "a b a"), plain("u", "a b a"))


def test_espeak_speaks_and_its_complaints_name_the_utterance() -> None:
    pytest.importorskip("espeakng_loader", reason="needs pip install 'speechllm[mini]'")
    samples = make_speaker(plugin(espeak={}), 1)("u", "hello")
    assert len(samples) > 4000 and np.abs(samples).max() > 0.1
    with pytest.raises(ConfigError, match="utterance u: espeak-ng has no accent 'en-uss'"):
        make_speaker(plugin(espeak={"accents": ["en-uss"]}), 1)("u", "hello")
