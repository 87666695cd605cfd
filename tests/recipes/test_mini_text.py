"""egs/mini's corpus: fair sets, spoken-form text, and the same speech however it is made."""

import hashlib
import json
import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from speechllm.data.dirs.kaldi import DataDir, read_table, write_table
from speechllm.errors import DataError, SpeechLLMError
from speechllm.tasks.semantics import parse_semantics, strange_fillers

RECIPE = Path(__file__).parents[2] / "egs" / "mini"
sys.path.insert(0, str(RECIPE / "local"))

import acoustics  # noqa: E402
import make_bias_lists  # noqa: E402
import make_speech  # noqa: E402
import make_text  # noqa: E402
import piper  # noqa: E402
import voices  # noqa: E402
from grammar import Grammar  # noqa: E402
from inflect import inflect  # noqa: E402

DOMAINS = ("source", "agriculture", "music", "medical")
SIZES = {
    **{"general": 9000, "general_dev": 200, "general_text": 2000},
    **{"source": 1500, "target": 1000, "dev": 100, "test": 150, "natural": 20},
}
TINY = {
    **{"general": 8, "general_dev": 2, "general_text": 4},
    **{"source": 3, "target": 2, "dev": 1, "test": 1, "natural": 0},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mini") / "data"
    make_text.make(folder, SIZES)
    return folder


def sets_of(data: Path) -> dict[str, dict[str, str]]:
    return {path.parent.name: read_table(path) for path in sorted(data.glob("*/text"))}


def digests(folder: Path, pattern: str) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob(pattern)
    }


# ---- text


def test_no_sentence_stands_in_two_sets(data):
    sets = sets_of(data)
    sentences = [text for table in sets.values() for text in table.values()]
    assert len(sets) == 4 * 4 - 1 + 3
    assert len(set(sentences)) == len(sentences)


def test_text_is_spoken_form(data):
    for name, table in sets_of(data).items():
        for utt, text in table.items():
            assert re.fullmatch(r"[a-z]+('[a-z]+)*( [a-z]+('[a-z]+)*){2,13}", text), (name, utt)


@pytest.mark.parametrize("domain", DOMAINS)
def test_entities_occur_in_the_transcripts(data, domain):
    test = DataDir.load(data / f"{domain}_test")
    assert len(test.entities) > 0.7 * len(test.ids)
    assert len({e["type"] for found in test.entities.values() for e in found}) >= 4
    for utt, found in test.entities.items():
        for entity in found:
            assert f" {entity['text']} " in f" {test.text[utt]} ", utt


def test_targets_have_new_words_and_the_source_has_not(data):
    sets = sets_of(data)
    heard = {
        word
        for name in ("general_train", "source_train")
        for text in sets[name].values()
        for word in text.split()
    }
    assert len(heard) > 8000

    def new_words(domain):
        words = " ".join(sets[f"{domain}_test"].values()).split()
        return sum(word not in heard for word in words) / len(words)

    assert new_words("source") < 0.03
    for target in make_text.TARGETS:
        assert 0.1 < new_words(target) < 0.2


def test_text_is_the_same_every_time(data, tmp_path):
    make_text.make(tmp_path / "data", SIZES)
    assert digests(tmp_path / "data", "*/*") == digests(data, "*/*")


def test_clear_voices_say_the_same_sentences_but_for_made_up_words(tmp_path):
    for clear in (False, True):
        make_text.make(tmp_path / str(clear), TINY | {"natural": 2}, clear)
    all_voices, clear_ones = (sets_of(tmp_path / name) for name in ("False", "True"))
    for name, table in clear_ones.items():
        if not name.startswith("general"):
            assert sorted(table.values()) == sorted(all_voices[name].values())
        assert all(utt.startswith(("clear", "joe", "text-")) for utt in table)
    with pytest.raises(SpeechLLMError, match="other sizes or grammars"):
        make_text.make(tmp_path / "True", TINY | {"natural": 2})
    for clear in (False, True):
        some = islice(make_text.sentences("general", set(), clear), 100)
        assert any("made_up" in sentence.rules for sentence in some) != clear


def test_changed_sizes_are_refused(tmp_path):
    make_text.make(tmp_path, TINY)
    make_text.make(tmp_path, TINY)
    with pytest.raises(SpeechLLMError, match="other sizes or grammars"):
        make_text.make(tmp_path, TINY | {"dev": 2})


# ---- grammar


def grammar(tmp_path, text, seed=0):
    path = tmp_path / "some.txt"
    path.write_text(text)
    return Grammar(path, seed)


def test_slots_forms_and_entities(tmp_path):
    rules = grammar(
        tmp_path,
        "say: the {who} {do:ed} a {crop:pl}\n"
        "sentence: {say}\n"
        "who: (tall|tall) man\n"
        "do: pick* up the {thing:pl} and\n"
        "thing: leaf\n"
        "beet!crop: sugar beet\n"
        "crop: {beet}  # a slot alone takes the form\n",
    )
    sentence = rules.sentence()
    assert sentence.text == "the tall man picked up the leaves and a sugar beets"
    assert sentence.entities == [{"type": "crop", "text": "sugar beets"}]


def test_articles_follow_the_sound(tmp_path):
    nouns = "apple, unit, hour, ewe, one, ukulele, uncle, year"
    rules = grammar(tmp_path, f"sentence: a {{noun}}\nnoun: {nouns}\n")
    assert {rules.sentence().text for _ in range(8)} == {
        *("an apple", "a unit", "an hour", "a ewe", "a one", "a ukulele", "an uncle", "a year")
    }


def test_every_alternative_comes_up_before_one_comes_again(tmp_path):
    rules = grammar(tmp_path, "sentence: 2* a, b, c, d\n")
    assert sorted(rules.sentence().text for _ in range(5)) == ["a", "a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sentence: {who} left\n", "uses {who}"),
        ("sentence: a\nsentence: b\n", r"some.txt:2: not a new rule"),
        ("    a line that hangs\n", r"some.txt:1: alternative without a rule"),
    ],
)
def test_mistakes_in_a_grammar(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        grammar(tmp_path, text)


@pytest.mark.parametrize(
    ("word", "form", "expected"),
    [
        *[("carry", "s", "carries"), ("watch", "s", "watches"), ("go", "s", "goes")],
        *[("pick up", "ed", "picked up"), ("stop", "ed", "stopped"), ("visit", "ed", "visited")],
        *[("refer", "ed", "referred"), ("break", "en", "broken"), ("panic", "ed", "panicked")],
        *[("lie", "ing", "lying"), ("make", "ing", "making"), ("agree", "ing", "agreeing")],
        *[("sugar beet", "pl", "sugar beets"), ("leaf", "pl", "leaves"), ("box", "pl", "boxes")],
        *[("diagnosis", "pl", "diagnoses"), ("postman", "pl", "postmen"), ("rice", "pl", "rice")],
        *[("big", "er", "bigger"), ("happy", "est", "happiest"), ("useful", "er", "more useful")],
    ],
)
def test_inflection(word, form, expected):
    assert inflect(word, form) == expected


# ---- speech


def test_test_speakers_are_new_voices(data):
    everyone = voices.speakers()
    assert len({(who.accent, who.variant) for who in everyone}) == len(everyone) == 82
    used = {
        part: {
            who
            for path in data.glob(f"*_{part}/utt2spk")
            for utt, who in read_table(path).items()
            if utt.startswith(f"{who}-")
        }
        for part in ("train", "dev", "test")
    }
    assert {part: len(names) for part, names in used.items()} == voices.COUNTS
    assert not used["train"] & (used["dev"] | used["test"]) and not used["dev"] & used["test"]


@pytest.mark.parametrize("kind", acoustics.NOISES)
def test_noise_has_unit_level_and_its_own_start(kind):
    if kind == "babble":
        pytest.importorskip("espeakng_loader", reason="needs pip install 'speechllm[mini]'")
    first, again, other = (
        acoustics.noise(kind, 20000, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert acoustics.rms(first) == pytest.approx(1)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_recording_is_never_clipped():
    voice = np.zeros(16000, np.float32)
    voice[8000] = 1  # a click: its peak is far above its level
    for seed in range(20):
        samples = acoustics.record(np.r_[voice, 0.001 * voice], np.random.default_rng(seed))
        assert np.abs(samples).max() <= 0.99


def test_speech_is_the_same_however_it_is_made(tmp_path):
    pytest.importorskip("espeakng_loader", reason="needs pip install 'speechllm[mini]'")
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, nj in ((one, 1), (two, 2)):
        make_text.make(folder, TINY)
        make_speech.CHUNK = 3
        make_speech.make(folder, nj)
    wanted = digests(one, "audio/*/*.flac")
    assert len(wanted) == 8 + 2 + 3 + 3 * 2 + 4 * 2
    assert digests(two, "audio/*/*.flac") == wanted

    # Killed before the set was whole: what is there is kept, the rest is made.
    train = DataDir.load(two / "general_train")
    (two / "general_train" / "wav.scp").unlink()
    lost, kept = (Path(train.audio[utt].source) for utt in train.ids[:2])
    lost.unlink()
    time = kept.stat().st_mtime_ns
    make_speech.make(two, 1)
    assert digests(two, "audio/*/*.flac") == wanted
    assert kept.stat().st_mtime_ns == time

    again = DataDir.load(two / "general_train")
    assert again.utt2dur == train.utt2dur
    info = soundfile.info(lost)
    assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
    assert info.duration == pytest.approx(again.utt2dur[again.ids[0]], abs=1e-3)
    phones = read_table(two / "general_train" / "phones")
    assert list(phones) == again.ids and all(len(p.split()) > 4 for p in phones.values())


def test_an_utterance_that_says_something_else_is_spoken_anew(tmp_path):
    pytest.importorskip("espeakng_loader", reason="needs pip install 'speechllm[mini]'")
    make_text.make(tmp_path, TINY)
    make_speech.make(tmp_path, 1)
    train = DataDir.load(tmp_path / "source_train")
    paths = [Path(train.audio[utt].source) for utt in train.ids]
    before = [path.read_bytes() for path in paths]
    (train.path / "wav.scp").unlink()
    text = train.text | {train.ids[0]: "quite another sentence"}
    write_table(train.path / "text", text)
    make_speech.make(tmp_path, 1)
    assert [p.read_bytes() == b for p, b in zip(paths, before, strict=True)] == [False, True, True]


class FakeRuntime:
    """onnxruntime, with a network that draws as many samples as it has phones, times 1,000."""

    GraphOptimizationLevel = SimpleNamespace(ORT_DISABLE_ALL=0)

    def __init__(self):
        self.inputs = []

    def set_seed(self, seed):
        self.seed = seed

    def SessionOptions(self):
        return SimpleNamespace()

    def InferenceSession(self, network, options, providers):
        rng = np.random.default_rng(self.seed)  # as onnxruntime: when the network is made

        def run(_outputs, inputs):
            self.inputs.append(inputs)
            return [rng.standard_normal((1, 1, 1000 * inputs["input"].size), np.float32)]

        return SimpleNamespace(run=run)


@pytest.fixture
def natural(tmp_path, monkeypatch):
    """A voice that knows few phones."""
    pytest.importorskip("espeakng_loader", reason="needs pip install 'speechllm[mini]'")
    monkeypatch.setitem(sys.modules, "onnxruntime", FakeRuntime())
    config = {
        "audio": {"sample_rate": 22050},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_id_map": {p: [i] for i, p in enumerate("_^$ .ɡəʊˈ")},
    }
    (tmp_path / "some.onnx").write_bytes(b"network")
    (tmp_path / "some.onnx.json").write_text(json.dumps(config))
    return tmp_path


def test_a_natural_voice_says_its_phones_the_same_each_time(natural):
    voice = piper.Piper(natural)
    assert voice.phone_ids("go") == [1, 0, 5, 0, 8, 0, 7, 0, 4, 0, 2]  # ^ g ' U . $; o is unknown
    first = voice.synthesise("go", 3)
    assert len(first) == round(11000 * 16000 / 22050)
    voice.synthesise("go go", 4)
    np.testing.assert_array_equal(voice.synthesise("go", 3), first)
    assert not np.array_equal(voice.synthesise("go", 4), first)
    scales = voice._runtime.inputs[0]["scales"]
    np.testing.assert_allclose(scales, [0.667, 1, 0.8])


def test_only_the_natural_sets_have_the_natural_voice(data, natural):
    for path in data.glob("*/utt2spk"):
        people = set(read_table(path).values())
        assert (people == {"joe"}) == path.parent.name.endswith("_natural")
    speaker = voices.NATURAL
    one, again = (make_speech.speak("joe-1", "go", speaker, natural) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, make_speech.speak("joe-2", "go", speaker, natural))
    np.testing.assert_array_equal(one, make_speech.speak("joe-1", "GO", speaker, natural))


def test_without_a_voice_it_says_what_makes_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", FakeRuntime())
    with pytest.raises(SpeechLLMError, match=r"there is no voice in .*\n.*pretrained.sh piper-joe"):
        piper.Piper(tmp_path)


# ---- local/data.sh


def data_sh(tmp_path, fails="none"):
    """Run the third step with a `speechllm` that only makes folders, or fails at one of them."""
    stub = tmp_path / "bin" / "speechllm"
    stub.parent.mkdir(exist_ok=True)
    stub.write_text(
        "#!/usr/bin/env bash\n"
        'out=${*: -1}; echo "learning $1 $2"\n'
        f'[ "${{out##*/}}" != {fails} ] || exit 3\n'
        'mkdir -p "$out"; echo "{}" >"$out/config.json"\n'
    )
    stub.chmod(0o755)
    path = f"{stub.parent}{os.pathsep}{os.environ['PATH']}"
    command = ["local/data.sh", "--standins", "--work", str(tmp_path), "--stage", "3"]
    return subprocess.run(
        command, cwd=RECIPE, env=os.environ | {"PATH": path}, text=True, capture_output=True
    )


def test_standins_are_made_once(tmp_path):
    first = data_sh(tmp_path)
    assert first.returncode == 0, first.stderr
    assert "encoder: learning standin encoder" in first.stdout
    assert "llm: learning standin llm" in first.stdout
    again = data_sh(tmp_path)
    assert again.returncode == 0 and again.stdout == ""


@pytest.mark.parametrize("name", ["encoder", "llm"])
def test_a_failing_standin_is_an_error(tmp_path, name):
    result = data_sh(tmp_path, fails=name)
    assert result.returncode == 1
    assert f"pretrained/{name} was not made; the log is" in result.stderr


# ---- bias lists


def test_bias_lists_hold_the_rare_words_and_a_hundred_others(data):
    make_bias_lists.make(data)
    counts = make_bias_lists.words_of(data, ["general_train", "source_train"])
    for name in ("agriculture_dev", "agriculture_test", "medical_test"):
        test = DataDir.load(data / name)
        assert list(test.bias_lists.own) == test.ids
        train = {
            w
            for t in read_table(data / f"{name.split('_')[0]}_train/text").values()
            for w in t.split()
        }
        for utt, listed in test.bias_lists.own.items():
            said = {word for word in test.text[utt].split() if counts[word] < 5}
            assert said <= set(listed) and len(listed) == len(said) + 100
            assert all(counts[word] < 5 for word in listed)
            assert set(listed) - said <= train
    before = (data / "music_test/biasing").read_bytes()
    (data / "music_test/biasing").unlink()
    make_bias_lists.make(data)
    assert (data / "music_test/biasing").read_bytes() == before
    assert not (data / "source_test/biasing").exists()


# ---- meaning


@pytest.mark.parametrize("domain", [*DOMAINS, "general"])
def test_what_a_sentence_means_is_in_its_words(data, domain):
    part = "dev"
    text = read_table(data / f"{domain}_{part}/text")
    meant = {
        utt: parse_semantics(m)
        for utt, m in read_table(data / f"{domain}_{part}/semantics").items()
    }
    assert meant.keys() == text.keys()
    for utt, semantics in meant.items():
        assert not strange_fillers(semantics, text[utt]), utt
    intents = {(m["scenario"], m["action"]) for m in meant.values()}
    if domain == "general":
        assert intents == {("dictation", "write")}
        assert all(m["entities"][0]["filler"] == text[utt] for utt, m in meant.items())
    elif domain == "source":
        assert intents >= {(s, a) for s in ("bank", "insurance", "health") for a in ("say", "ask")}
    else:
        assert intents == {(domain, action) for action in ("say", "ask", "tell")}
