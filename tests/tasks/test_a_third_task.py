"""A task that nothing in the toolkit knows: registered here, run through all of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import yaml

from speechllm.cli import main
from speechllm.data.dirs.kaldi import read_table, write_table
from speechllm.score.counts import Counted, Rate
from speechllm.task import TASKS, Entities, Labels, Metric
from speechllm.tasks.counted import CountedTask
from tests.helpers.tiny import make_encoder, make_llm, make_set

TRAIN = {"steps": 2, "batch_positions": 400, "lr": 1e-3, "warmup_steps": 1, "precision": "fp32"}


class Translation(CountedTask):
    """Toy translation: the share of words that the answer lacks."""

    name = "translation"
    prompt = "Translate. Speech: <speech>."
    table = "translation"
    metrics = (Metric("lacking", "lacking", "words of the translation that the answer lacks"),)
    decode = MappingProxyType({"min_tokens": 12, "max_tokens_per_second": 1.0})

    def count(
        self,
        references: Mapping[str, str],
        hypotheses: Mapping[str, str],
        normalizer: str = "plain",
        labels: Labels | None = None,
        entities: Entities = MappingProxyType({}),
    ) -> Counted:
        ids = tuple(sorted(references))
        words = [references[utt].split() for utt in ids]
        said = [hypotheses.get(utt, "").split() for utt in ids]
        lacking = [sum(w not in s for w in ws) for ws, s in zip(words, said, strict=True)]
        rate = Rate(np.array(lacking), np.array([len(w) for w in words]))
        missing = tuple(utt for utt in ids if utt not in hypotheses)
        return Counted(ids, {"lacking": rate}, tuple(map(tuple, said)), missing)


def backwards(text: str) -> str:
    return " ".join(reversed(text.upper().split()))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(TASKS, "translation", f"{__name__}:Translation")
    make_encoder(tmp_path / "encoder")
    make_llm(tmp_path / "llm")
    sets = ["source_train", "source_dev", "target_train", "target_dev"]
    for i, name in enumerate(sets):
        folder = make_set(tmp_path / "data" / name, name[:2], seed=i)
        said = read_table(folder / "text")
        write_table(folder / "translation", {u: backwards(t) for u, t in said.items()})
    dirs = [f"{tmp_path}/data/{name}" for name in sets]
    features = ["features", "--encoder", f"{tmp_path}/encoder", "--dump", f"{tmp_path}/dump"]
    main([*features, *dirs])
    main([*features, "--merge", *dirs])
    return tmp_path


def test_a_task_of_one_file_runs_through_everything(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = {
        "task": "translation",
        "encoder": f"{work}/encoder",
        "llm": f"{work}/llm",
        "projector": {"downsampling": 2, "hidden": 16},
    }
    monitor = {"every": 2, "decode": True, "signal": "error"}
    base = {"model": model, "train": TRAIN, "monitor": monitor}
    adapt = {"method": "denoise", "train": TRAIN, "monitor": monitor}
    for name, values in {"base": base, "denoise": adapt, "decode": {"beam": 2}}.items():
        (work / f"{name}.yaml").write_text(yaml.safe_dump(values))
    dump, exp, data = ["--dump", f"{work}/dump"], f"{work}/exp/base", f"{work}/data"
    source = [f"{data}/source_train", f"{data}/source_dev"]
    main(
        [
            *("base", "--config", f"{work}/base.yaml", *dump, "--exp", exp),
            *("--train", source[0], "--dev", source[1]),
        ]
    )
    main(
        [
            *("adapt", "--config", f"{work}/denoise.yaml", *dump, "--base", exp),
            *("--source", source[0], "--source_dev", source[1]),
            *("--target", f"{data}/target_train", "--target_dev", f"{data}/target_dev"),
            *("--exp", f"{exp}/denoise_target"),
        ]
    )
    folder = work / "exp/base/denoise_target"
    described = json.loads((folder / "model/model.json").read_text())
    assert described["model"]["task"] == "translation"
    assert described["model"]["prompt"] == Translation.prompt
    log = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    dev = next(record["dev"]["source"] for record in log if "dev" in record)
    assert dev["error"] == dev["lacking"] and "wer" not in dev

    decode = ["decode", "--config", f"{work}/decode.yaml", "--model", f"{folder}", *dump]
    main([*decode, "--data", f"{data}/target_dev"])
    (work / "lm.yaml").write_text(yaml.safe_dump({"kind": "ngram", "order": 2}))
    lm = ["lm", "--config", f"{work}/lm.yaml", "--base", f"{folder}", "--exp", f"{work}/exp/lm"]
    main([*lm, "--text", f"{data}/target_train", "--dev", f"{data}/target_dev"])
    assert "GRASS" in (work / "exp/lm/lm.arpa").read_text()  # it has learnt what is to be answered
    perplexity = ["perplexity", "--model", f"{folder}", "--data", f"{data}/target_dev"]
    main([*perplexity, "--lm", f"{work}/exp/lm"])
    made = json.loads((work / "exp/lm/run.json").read_text())["dev_perplexity"]
    measured = json.loads((work / "exp/lm/perplexity.json").read_text())["target_dev"]
    assert measured["text"] == made
    main(perplexity)
    assert json.loads((folder / "perplexity.json").read_text())["target_dev"]["empty_slot"]
    fusion = {"kind": "shallow", "lm": f"{work}/exp/lm", "weight": None, "grid": [0.0, 0.5]}
    (work / "fused.yaml").write_text(yaml.safe_dump({"beam": 2, "nbest": 2, "fusion": fusion}))
    fused = ["decode", "--config", f"{work}/fused.yaml", "--model", f"{folder}", *dump]
    main([*fused, "--dev", f"{data}/target_dev", "--data", f"{data}/source_dev"])
    summary = json.loads((folder / "decode_fused/source_dev/decode.json").read_text())
    assert summary["tuning"]["figure"] == "lacking"

    out = folder / "decode_decode/target_dev"
    assert json.loads((out / "decode.json").read_text())["min_tokens"] == 12
    write_table(out / "text", {"ta-0": "GRASS x COW", "ta-1": ""})
    main(["score", "--exp", f"{work}/exp", "--data_root", data])
    assert "%lacking" in capsys.readouterr().out
    result = json.loads((out / "score/translation.json").read_text())
    wanted = read_table(work / "data/target_dev/translation")
    words = sum(len(answer.split()) for answer in wanted.values())
    assert result["utterances"] == 8 and len(result["missing"]) == 6
    assert result["scores"]["plain"]["lacking"]["reference"] == words
    assert result["scores"]["plain"]["lacking"]["errors"] == words - 2
