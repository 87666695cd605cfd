"""`speechllm decode` with bias lists, guard, confidence and times: what stands on disk."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from speechllm.data.dirs.bias_lists import write_biasing, write_words
from tests.pipeline import test_stages as pipeline
from tests.pipeline.test_stages import refused, run

work = pipeline.work


@pytest.fixture
def command(work: Path, tmp_path: Path) -> list[str]:
    """Decodes a copy of a set that has lists."""
    data = tmp_path / "target_dev"
    shutil.copytree(work / "data/target_dev", data)
    write_words(data, ["cow", "green grass"])
    write_biasing(data, {"ta-0": ["wheat field"]})
    shutil.copytree(work / "exp/base/model", tmp_path / "model/model")
    return [
        *("decode", "--model", f"{tmp_path}/model", "--dump", f"{work}/dump"),
        *("--data", str(data), "--config"),
    ]


def config(folder: Path, name: str, **settings: object) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"beam": 2, "batch_positions": 500, **settings}))
    return str(path)


def test_records_and_summary(command: list[str], tmp_path: Path) -> None:
    biasing = {"trie": {"boost": 3.0}, "prompt": {"least": 0.0, "most": 1}}
    looks = {"confidence": True, "word_times": "attention"}
    run(*command, config(tmp_path, "all", biasing=biasing, **looks))
    out = tmp_path / "model/decode_all/target_dev"
    records = [json.loads(line) for line in (out / "hyp.jsonl").read_text().splitlines()]
    assert len(records) == 8
    heard = [record for record in records if record["text"]]
    for record in heard:
        assert [word["word"] for word in record["words"]] == record["text"].split()
        assert 0 < record["confidence"] <= 1
    own = {record["id"]: record.get("hotwords") for record in heard}
    assert own.get("ta-0") in (None, ["wheat field"])
    summary = json.loads((out / "decode.json").read_text())
    flags = [flag for record in records for flag in record.get("guard", {}).get("flags", ())]
    assert summary["guard"] == {flag: flags.count(flag) for flag in summary["guard"]}
    assert sum(summary["guard"].values()) == len(flags)
    assert summary["word_times"] == "attention"
    assert json.loads((out / "settings.json").read_text())["decode"]["guard"]["repeats"] == 6


def test_other_lists_are_other_settings_only_where_they_are_used(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = config(tmp_path, "plain")
    trie = config(tmp_path, "trie", biasing={"trie": {"boost": 1.0}})
    run(*command, plain)
    run(*command, trie)
    write_words(tmp_path / "target_dev", ["sheep"])
    run(*command, plain)
    assert "another bias_lists" in refused([*command, trie], capsys)


def test_an_open_boost_is_tuned_once(
    command: list[str], work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trie = config(tmp_path, "open", biasing={"trie": {"boost": None, "grid": [0.0, 1.0]}})
    assert "biasing.trie.boost: null" in refused([*command, trie], capsys)
    dev = tmp_path / "source_dev"
    shutil.copytree(work / "data/source_dev", dev)
    assert "no bias lists" in refused([*command, trie, "--dev", str(dev)], capsys)
    write_words(dev, ["cow"])
    run(*command, trie, "--dev", str(dev))
    place = tmp_path / "model/decode_open"
    tuning = json.loads((place / "tuning_boost/source_dev/tuning.json").read_text())
    summary = json.loads((place / "target_dev/decode.json").read_text())
    assert summary["biasing"]["trie"]["boost"] == tuning["chosen"]
    assert summary["boost_tuning"]["error"] == tuning["error"]
    run(*command, trie, "--dev", str(dev))  # decoded already


def test_a_set_without_lists_is_decoded_as_without_biasing(
    command: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("biasing", "bias_words"):
        (tmp_path / "target_dev" / name).unlink()
    run(*command, config(tmp_path, "plain"))
    biasing = {"trie": {"boost": 9.0}, "prompt": {"filter": "none"}}
    run(*command, config(tmp_path, "both", biasing=biasing))
    assert "has no bias lists: decoded as without biasing" in caplog.text
    texts = [
        (tmp_path / f"model/decode_{name}/target_dev/text").read_text()
        for name in ("plain", "both")
    ]
    assert texts[0] == texts[1]
