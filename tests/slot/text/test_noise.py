import random

import jiwer
import pytest

from speechllm.errors import ConfigError
from speechllm.slot.text.noise import NoiseConfig, corrupt
from tests.helpers.paths import ROOT

SENTENCES = [
    "THE BOY REMEMBERED HIS ESTIMATES AND SIGHED TO THINK OF THE PURPLE",
    "SHE WAS ALWAYS READY TO ANSWER QUESTIONS ABOUT THE HARVEST OF LAST YEAR",
    "MISTER QUILTER IS THE APOSTLE OF THE MIDDLE CLASSES AND WE ARE GLAD",
    "THE FARMERS BROUGHT THEIR CATTLE TO THE MARKET BEFORE THE WINTER STORMS",
]


def corrupted(kind: str, seed: int = 0, **knobs: object) -> list[str]:
    rng = random.Random(seed)
    noise = NoiseConfig(kind=kind, **knobs)
    return [corrupt(text, noise, rng) for text in SENTENCES * 100]


def test_naive_gives_about_24_percent_cer_and_44_percent_of_words() -> None:
    """The figures of the published corruption on upper-case text."""
    assert jiwer.cer(SENTENCES * 100, corrupted("naive")) == pytest.approx(0.24, abs=0.03)
    assert jiwer.wer(SENTENCES * 100, corrupted("naive")) == pytest.approx(0.44, abs=0.05)


def test_naive_on_real_transcripts() -> None:
    root = ROOT.parent / "shared/data/librispeech_sample"
    if not root.is_dir():
        pytest.skip("needs ../shared/data/librispeech_sample")
    lines = [line for f in sorted(root.glob("*/*/*/*.txt")) for line in f.read_text().splitlines()]
    texts = [line.split(" ", 1)[1] for line in lines]
    rng = random.Random(0)
    noisy = [corrupt(text, NoiseConfig(), rng) for text in texts]
    assert jiwer.cer(texts, noisy) == pytest.approx(0.24, abs=0.015)


def test_every_constant_is_a_knob() -> None:
    assert corrupted("naive", word_rate=0, duplicate_rate=0) == SENTENCES * 100
    only_a = corrupted("naive", alphabet="#", duplicate_rate=0)
    assert all(
        set(noisy) <= set(clean) | {"#"}
        for noisy, clean in zip(only_a, SENTENCES * 100, strict=True)
    )
    assert any("#" in noisy for noisy in only_a)
    words = " ".join(["LONGWORDS"] * 200)
    few = corrupt(words, NoiseConfig(duplicate_rate=0, max_words=3), random.Random(0))
    assert sum(word != "LONGWORDS" for word in few.split()) == 3
    short = corrupt("THE OLD MAN", NoiseConfig(duplicate_rate=0), random.Random(0))
    assert short == "THE OLD MAN"
    all_doubled = corrupt("AB1", NoiseConfig(duplicate_rate=1, max_repeats=1), random.Random(0))
    assert all_doubled == "AABB1"


def test_other_kinds() -> None:
    assert corrupted("echo") == SENTENCES * 100
    assert corrupted("empty") == [""] * 400
    assert [len(x) for x in corrupted("random")] == [len(x) for x in SENTENCES * 100]
    assert corrupted("random")[0] != SENTENCES[0]


def test_equal_seeds_give_equal_noise() -> None:
    assert corrupted("naive", 1) == corrupted("naive", 1) != corrupted("naive", 2)


@pytest.mark.parametrize("text", ["", " ", "É Ü ß", "a"])
def test_odd_text_survives(text: str) -> None:
    assert isinstance(corrupt(text, NoiseConfig(), random.Random(0)), str)


def test_a_rate_above_one_is_refused() -> None:
    from speechllm.config import parse

    with pytest.raises(ConfigError, match="word_rate"):
        parse(NoiseConfig, {"word_rate": 1.5}, "noise.yaml")


def test_misspelt_words_stay_words_of_letters() -> None:
    """A share of all letters: left out, another of its kind, or followed by one."""
    texts = SENTENCES * 100
    noisy = corrupted("misspelt", char_rate=0.2)
    assert jiwer.cer(texts, noisy) == pytest.approx(0.2 * 57 / 69, rel=0.2)  # spaces stay
    assert len({len(text) for text in noisy}) > 4
    assert all(set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ ") for text in noisy)
    assert corrupted("misspelt", char_rate=0.0) == texts
    always = corrupt("a I", NoiseConfig(kind="misspelt", char_rate=1.0), random.Random(1))
    assert always.strip() == always != ""
