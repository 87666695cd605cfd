"""Spoken coffee orders of Picovoice's speech-to-intent benchmark: real recordings with slots.

    <root>/label/<part>.json            {"<file>.flac": {"intent": ..., "slots": {name: value}}}
    <root>/speech/<part>/<file>.flac
    <root>/corpus.txt                   sentences of the domain
    <root>/coffee_maker.yaml            the grammar of the sentences and of the orders read

There are no transcripts of the recordings and no speakers. The benchmark has one intent,
`orderDrink`; it is the action, and "coffee" the scenario. Entities stand in the order of the
grammar's slots, since the order in which a recording names them is not known.
"""

from pathlib import Path

from speechllm.corpora.reading.rhino import RhinoGrammar
from speechllm.corpora.reading.utterances import Utterance
from speechllm.data.dirs.kaldi import Audio, first_ids
from speechllm.errors import DataError
from speechllm.files.guarded import guarded
from speechllm.files.own import read_mapping

SCENARIO = "coffee"
REMEDY = "--barista_root is the folder with label/, speech/ and coffee_maker.yaml in it"


def read_grammar(root: Path) -> RhinoGrammar:
    """Read the grammar, coffee_maker.yaml.

    Raises:
        DataError: there is no such file, or it holds no grammar.
    """
    path = root / "coffee_maker.yaml"
    if not path.is_file():
        raise DataError("no such file", path, remedy=REMEDY)
    return RhinoGrammar(path, SCENARIO)


def read_recordings(root: Path, part: str) -> list[Utterance]:
    """Read the recordings of a part (train or test); their transcripts are empty.

    Raises:
        DataError: no labels of the part, a label without recording, a recording without label, or
            an unknown slot.
    """
    path, folder = root / "label" / f"{part}.json", root / "speech" / part
    if not path.is_file():
        raise DataError("no such file", path, remedy=REMEDY)
    labels = read_mapping(path)
    there = {file.name for file in folder.glob("*.flac")}
    if absent := sorted(labels.keys() - there):
        raise DataError(f"no recording of {first_ids(absent)}", folder, remedy=REMEDY)
    if unnamed := sorted(there - labels.keys()):
        raise DataError(f"recordings in {folder} without a label: {first_ids(unnamed)}", path)
    grammar = read_grammar(root)
    utterances = []
    for file, label in sorted(labels.items()):
        with guarded(path, file):
            meaning = grammar.meaning(label["intent"], label["slots"])
        audio = Audio(str(folder / file))
        utterances.append(Utterance(Path(file).stem, "", audio, semantics=meaning))
    return utterances
