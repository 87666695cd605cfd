"""Real coffee orders, and grammars in Rhino's form."""

import json
import random
import shutil
from pathlib import Path

import pytest

from speechllm.corpora.barista import read_grammar, read_recordings
from speechllm.corpora.reading.rhino import RhinoGrammar
from speechllm.corpora.reading.utterances import write_set
from speechllm.data.check.fix import fix_data_dir
from speechllm.data.check.validate import check_data_dir
from speechllm.data.dirs.kaldi import DataDir
from speechllm.errors import DataError
from speechllm.task import load_task, load_tasks
from tests.helpers.corpora import make_wave

GRAMMAR = """context:
  expressions:
    order: ["[I want, give me] a $size:size tea", "$size:size tea [please,] with $with:with"]
  slots: {size: [Small, very large], with: [milk, a bit of milk]}
"""


@pytest.fixture
def grammar(tmp_path: Path) -> RhinoGrammar:
    (tmp_path / "some.yaml").write_text(GRAMMAR)
    return RhinoGrammar(tmp_path / "some.yaml", "kitchen")


def test_what_is_drawn_is_parsed(grammar: RhinoGrammar) -> None:
    rng = random.Random(0)
    drawn = [grammar.sentence(rng) for _ in range(60)]
    assert len({u.text for u in drawn}) == 2 * 2 + 2 * 2 * 2
    for utterance in drawn:
        assert grammar.parse(utterance.text.upper()) == utterance.semantics
    assert grammar.parse("give me a very large tea") == {
        "scenario": "kitchen",
        "action": "order",
        "entities": [{"type": "size", "filler": "very large"}],
    }
    with pytest.raises(ValueError, match="not a sentence"):
        grammar.parse("give me a huge tea")


@pytest.mark.parametrize(
    ("old", "new"),
    [("$size:size tea [", "$cup:cup tea ["), ("[I want", "I want"), ("context", "content")],
)
def test_grammars_that_cannot_be_read(tmp_path: Path, old: str, new: str) -> None:
    (tmp_path / "bad.yaml").write_text(GRAMMAR.replace(old, new, 1))
    with pytest.raises(DataError, match=r"bad\.yaml"):
        RhinoGrammar(tmp_path / "bad.yaml", "kitchen")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "barista"
    (root / "label").mkdir(parents=True)
    (root / "coffee_maker.yaml").write_text(GRAMMAR)
    labels = {
        "a.flac": {"intent": "order", "slots": {"with": " milk", "size": "small"}},
        "b.flac": {"intent": "order", "slots": {}},
    }
    (root / "label/train.json").write_text(json.dumps(labels))
    for name in labels:
        make_wave(root / "speech/train" / name, 0.4)
    return root


def test_recordings_have_meaning_and_no_words(root: Path, tmp_path: Path) -> None:
    utterances = read_recordings(root, "train")
    assert [u.text for u in utterances] == ["", ""]
    assert utterances[0].semantics["entities"] == [
        {"type": "size", "filler": "small"},
        {"type": "with", "filler": "milk"},
    ]
    write_set(tmp_path / "data", utterances)
    assert DataDir.load(tmp_path / "data").text == {"a": "", "b": ""}
    found = check_data_dir(tmp_path / "data", task=load_task("slu"))
    assert {c.severity for c in found} == {"warning"} and len(found) == 2
    assert fix_data_dir(tmp_path / "data").dropped == {}
    (tmp_path / "data/semantics").unlink()
    messages = {c.message for c in check_data_dir(tmp_path / "data", others=load_tasks())}
    assert messages == {"empty transcript"}
    with pytest.raises(DataError, match="without a transcript"):
        write_set(tmp_path / "data", [u._replace(semantics=None) for u in utterances])


def test_recordings_and_labels_must_fit(root: Path) -> None:
    extra = shutil.copy(root / "speech/train/a.flac", root / "speech/train/c.flac")
    with pytest.raises(DataError, match=r"without a label: 1 \(c.flac\)"):
        read_recordings(root, "train")
    Path(extra).unlink()
    (root / "speech/train/b.flac").unlink()
    with pytest.raises(DataError, match=r"no recording of 1 \(b.flac\)"):
        read_recordings(root, "train")
    make_wave(root / "speech/train/b.flac", 0.1)
    labels = {"a.flac": {"intent": "order", "slots": {"cup": "tin"}}, "b.flac": {}}
    (root / "label/train.json").write_text(json.dumps(labels))
    with pytest.raises(DataError, match=r"a.flac: unknown slots: cup"):
        read_recordings(root, "train")
    with pytest.raises(DataError, match="--barista_root"):
        read_recordings(root, "test")


def test_the_real_orders(shared_data: Path) -> None:
    root = shared_data / "barista_slu"
    grammar = read_grammar(root)
    corpus = list(grammar.read_corpus(root / "corpus.txt"))
    assert len(corpus) == 432 and corpus[0].semantics["entities"][0]["type"] == "size"
    recordings = read_recordings(root, "train") + read_recordings(root, "test")
    assert len(recordings) == 200
    for entity in (e for u in recordings for e in u.semantics["entities"]):
        assert entity["filler"] in grammar.slots[entity["type"]]
