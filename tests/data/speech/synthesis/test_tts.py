"""Speech synthesis: what comes out, that it depends on the arguments alone, and clear errors."""

import sys

import numpy as np
import pytest

from speechllm.data.speech.synthesis.tts import SAMPLE_RATE, Espeak, Voice, espeak
from speechllm.errors import SpeechLLMError

ENGLISH = ("en-us", "en-us-nyc", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-029")
# One inventory for all English accents; the stand-in encoder of egs/mini is trained on it.
PHONES = (
    "aɪ aʊ b d dʒ eɪ f h iː j k l m n oʊ p s t tʃ uː v w z "
    "æ ð ŋ ɑː ɒ ɔː ɔɪ ə ɛ ɜː ɡ ɪ ɹ ɾ ʃ ʊ ʌ ʒ θ"
)
TEXT = (
    "the quick brown fox jumps over the lazy dog i'm sure we measured their beige chair with joy "
    "four poor girls heard a loud church choir near our house the boy couldn't eat a whole nut "
    "pure water and little bottles of fire i think this thing is rather young"
)


def test_missing_package_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(SpeechLLMError, match=r"pip install 'speechllm\[mini\]'"):
        Espeak()


@pytest.fixture(scope="module")
def tts() -> Espeak:
    pytest.importorskip("espeakng_loader", reason="needs pip install 'speechllm[mini]'")
    return espeak()


def test_samples(tts):
    samples = tts.synthesise("the farmer will harvest the sugar beet before the rain")
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert 2 < len(samples) / SAMPLE_RATE < 5
    assert 0.2 < np.abs(samples).max() <= 1


def test_rate_and_pitch_change_the_voice(tts):
    def fundamental(pitch):  # by the peak of the autocorrelation where the vowel is loudest
        samples = tts.synthesise("ah", Voice(variant="m1", pitch=pitch))
        loudest = max(0, int(np.argmax(np.abs(samples))) - 1024)
        vowel = samples[loudest : loudest + 2048]
        correlation = np.correlate(vowel, vowel, "full")[len(vowel) :]
        return SAMPLE_RATE / (60 + np.argmax(correlation[60:300]))

    slow, fast = (tts.synthesise("one two three", Voice(rate=rate)) for rate in (120, 240))
    assert len(fast) < 0.8 * len(slow)
    assert fundamental(90) > 1.3 * fundamental(50)


@pytest.mark.parametrize("variant", ["m1", "f1", "f2", "linda"])  # flutter, roughness, echo, breath
def test_samples_do_not_depend_on_what_was_said_before(tts, variant):
    voice = Voice("en-gb", variant)
    alone = tts.synthesise("did you see my brother", voice)
    tts.synthesise("something of another length", Voice("en-us", "f3", 210, 70))
    np.testing.assert_array_equal(tts.synthesise("did you see my brother", voice), alone)
    np.testing.assert_array_equal(tts.synthesise("did you see my brother", voice), alone)


@pytest.mark.parametrize("accent", ENGLISH)
def test_english_accents_share_one_inventory(tts, accent):
    assert set(tts.phones(TEXT, accent)) <= set(PHONES.split())


def test_phones_have_no_stress_and_follow_the_accent(tts):
    assert tts.phones("thing") == ["θ", "ɪ", "ŋ"]
    assert " ".join(tts.phones("farmer, thing", "en-us")) == "f ɑː ɹ m ə ɹ θ ɪ ŋ"
    assert " ".join(tts.phones("farmer", "en-gb")) == "f ɑː m ə"
    assert tts.phones("") == []


def test_other_languages_speak(tts):
    assert tts.phones("ich auch", "de")[-1] == "x"
    assert len(tts.synthesise("guten morgen", Voice("de"))) > SAMPLE_RATE / 2


@pytest.mark.parametrize(
    ("voice", "message"),
    [
        (Voice(accent="en-uss"), "no accent 'en-uss', did you mean 'en-us'"),
        (Voice(variant="m33"), "no voice variant 'm33', did you mean"),
        (Voice(variant="robosoft2"), "no voice variant 'robosoft2'"),
    ],
)
def test_unknown_voices(tts, voice, message):
    with pytest.raises(SpeechLLMError, match=message):
        tts.synthesise("hello", voice)


def test_nothing_to_say(tts):
    with pytest.raises(SpeechLLMError, match="makes no sound"):
        tts.synthesise("")
