"""A target that is recordings without words, and sentences without recordings."""

import json
from pathlib import Path

import pytest
import yaml

from speechllm.adapt.methods.schemes import DirectMixing
from speechllm.cli import main
from speechllm.data.dirs.kaldi import read_table, write_data_dir, write_table
from speechllm.tasks.semantics import write_answer
from tests.helpers.tiny import make_encoder, make_llm, make_set

TRAIN = {"steps": 4, "batch_positions": 600, "lr": 1e-3, "warmup_steps": 1, "precision": "fp32"}
METHODS = {
    "text_only": {"method": "text_only", "slot": "clean_text"},
    "direct_mixing": {"method": "direct_mixing", "p": 0.5},
    "curriculum": {"method": "curriculum", "p": 0.5},
    "audio": {"method": "audio"},
}
MEANING = write_answer({"scenario": "farm", "action": "say", "entities": []})


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("sets")
    make_encoder(work / "encoder")
    make_llm(work / "llm")
    for i, name in enumerate(("source_train", "source_dev", "farm_train", "farm_dev")):
        folder = make_set(work / "data" / name, name[:2] + name[-2:], seed=i)
        text = read_table(folder / "text")
        write_table(folder / "semantics", dict.fromkeys(text, MEANING))
        if name.startswith("farm"):
            write_table(folder / "text", dict.fromkeys(text, ""))
    sentences = {f"t{i}": f"the cow number {i}" for i in range(12)}
    write_data_dir(work / "data/farm_text", text=sentences)
    write_table(work / "data/farm_text/semantics", dict.fromkeys(sentences, MEANING))
    dirs = [f"{work}/data/{n}" for n in ("source_train", "source_dev", "farm_train", "farm_dev")]
    features = ["features", "--encoder", f"{work}/encoder", "--dump", f"{work}/dump"]
    main([*features, *dirs])
    main([*features, "--merge", *dirs])
    model = {"task": "slu", "encoder": f"{work}/encoder", "llm": f"{work}/llm"}
    model["projector"] = {"downsampling": 2, "hidden": 16}
    monitor = {"every": 2, "utterances": 3}
    config = {"model": model, "trainable": ["projector.*"], "train": TRAIN, "monitor": monitor}
    (work / "base.yaml").write_text(yaml.safe_dump(config))
    main(
        [
            *("base", "--config", f"{work}/base.yaml", "--dump", f"{work}/dump"),
            *("--train", dirs[0], "--dev", dirs[1], "--exp", f"{work}/exp/base"),
        ]
    )
    return work


@pytest.mark.parametrize("name", METHODS)
def test_each_view_draws_from_what_has_it(work: Path, name: str) -> None:
    monitor = {"every": 2, "utterances": 3, "watch": "target"}
    config = {**METHODS[name], "train": TRAIN, "monitor": monitor}
    (work / f"{name}.yaml").write_text(yaml.safe_dump(config))
    data = work / "data"
    out = work / f"exp/base/{name}_farm"
    main(
        [
            *("adapt", "--config", f"{work}/{name}.yaml", "--base", f"{work}/exp/base"),
            *("--dump", f"{work}/dump", "--source", f"{data}/source_train"),
            *("--source_dev", f"{data}/source_dev", "--target_dev", f"{data}/farm_dev"),
            *("--target", f"{data}/farm_train", f"{data}/farm_text", "--exp", str(out)),
        ]
    )
    made = json.loads((out / "run.json").read_text())
    assert made["target"] == "farm"
    pools = {c["view"]: c["utterances"] for p in made["phases"] for c in p["mixture"]}
    text, speech = {"clean_text": 12}, {"audio": 8 if name == "audio" else 4}
    wanted = {"text_only": text, "audio": speech}.get(name, text | speech)
    assert {view: pools[view] for view in wanted} == wanted


def test_direct_mixing_is_in_natural_proportions() -> None:
    method = DirectMixing(method="direct_mixing", p=0.5, train=TRAIN)
    sizes = {"source": 9, "target": 20, "target/text": 12, "target/audio": 8}
    assert method.components(sizes)[0].share == 12 / 16
    assert method.components({"source": 9, "target": 20})[0].share == 1 / 1.5
