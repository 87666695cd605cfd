"""Cells through the real commands, on tiny random models: planned, trained, decoded, reported."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from speechllm.cli import main
from speechllm.compare.gather import gather
from speechllm.compare.grid import Cell
from speechllm.compare.plan import load_grid, plan
from tests.helpers.tiny import make_set
from tests.pipeline import test_stages

work = test_stages.work  # a fixture
METHODS = {"text_only": {"method": "text_only"}, "mixed": {"method": "mixed_batching"}}


@pytest.fixture
def planned(work: Path, capsys: pytest.CaptureFixture[str]):
    """Plan a grid by the command; returns its options, the lines it prints, and the cells."""

    def planned(name: str, **grid: object) -> tuple[list[str], list[list[str]], list[Cell]]:
        methods = {}
        for label, settings in METHODS.items():
            config = work / f"{name}_{label}.yaml"
            values = {**settings, "train": test_stages.TRAIN, "monitor": {"every": 50}}
            config.write_text(yaml.safe_dump(values))
            methods[label] = {"config": str(config)}
        methods["mixed"]["fractions"] = [0.25]
        path = work / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"methods": methods, "seeds": [3], **grid}, sort_keys=False))
        options = ["--targets", "target", "--base", f"{work}/exp/base", "--config", str(path)]
        capsys.readouterr()
        main(["compare", "plan", *options])
        lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
        cells = plan(load_grid(path), work / "exp/base" / name, ["target"])
        assert [line[0] for line in lines] == [str(cell.folder) for cell in cells]
        return options, lines, cells

    return planned


def train(work: Path, folder: str, config: str, target: str, changes: str) -> None:
    data = f"{work}/data"
    main(
        [
            *("adapt", "--config", config, "--base", f"{work}/exp/base", "--dump", f"{work}/dump"),
            *("--source", f"{data}/source_train", "--source_dev", f"{data}/source_dev"),
            *("--target", f"{data}/{target}_train", "--target_dev", f"{data}/{target}_dev"),
            *("--exp", folder, *shlex.split(changes)),
        ]
    )


def decode(work: Path, *folders: str, otherwise: Sequence[Sequence[str]] = ()) -> None:
    """Decode and score the test sets, which are made first.

    `otherwise` are lines of `compare decodings`: folder, targets, name, changes.
    """
    sets = [f"{work}/data/target_test", f"{work}/data/source_test"]
    for seed, path in enumerate(sets):
        make_set(Path(path), f"test{seed}", seed=seed)
    features = ["features", "--encoder", f"{work}/encoder", "--dump", f"{work}/dump"]
    main([*features, "--job", "1/1", *sets])
    main([*features, "--merge", *sets])
    config = work / "decode.yaml"
    config.write_text("{beam: 1, batch_positions: 500}")
    for folder in folders:
        command = ["decode", "--config", str(config), "--model", folder, "--dump", f"{work}/dump"]
        main([*command, "--data", *sets])
    for folder, _, name, changes in otherwise:
        command = ["decode", "--config", str(config), "--model", folder, "--dump", f"{work}/dump"]
        main([*command, "--tag", f"decode_{name}", "--data", *sets, *shlex.split(changes)])
    main(["score", "--data_root", f"{work}/data", "--exp", f"{work}/exp"])


def test_a_comparison_reports_what_is_finished_and_what_is_not(work: Path, planned) -> None:
    options, lines, cells = planned("steps", budget=3)
    train(work, *lines[0])
    _, first, second = gather(cells, work / "exp/base", "decode")
    assert first.problem == "not decoded (decode): target_test, source_test"
    assert first.run["steps"] == 3 and first.run["config"]["train"]["seed"] == 3
    assert second.problem == "not trained yet"
    before = (first.folder / "run.json").stat().st_mtime_ns
    train(work, *lines[0])
    assert (first.folder / "run.json").stat().st_mtime_ns == before  # done work is left alone
    decode(work, f"{work}/exp/base", lines[0][0])
    out = work / "RESULTS.steps.md"
    main(["compare", "report", "--data", f"{work}/data", "--out", str(out), *options])
    report = out.read_text()
    assert "| text_only" in report and "mixed_p25_s3_target on target: not trained yet" in report


def test_models_are_decoded_in_another_way_too(
    work: Path, planned, capsys: pytest.CaptureFixture[str]
) -> None:
    decodings = {
        "off": {"of": "text_only", "set": {"adapted": 0.0}},
        "short": {"of": "base", "set": {"max_tokens_per_second": 1.0, "min_tokens": 1}},
    }
    options, lines, _ = planned("otherwise", budget=30, decodings=decodings)
    train(work, *lines[0])
    (work / "decode.yaml").write_text("{beam: 1, batch_positions: 500}")
    capsys.readouterr()
    main(["compare", "decodings", "--decode", f"{work}/decode.yaml", *options])
    jobs = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert jobs == [
        [lines[0][0], "target", "off", "adapted=0.0"],
        [f"{work}/exp/base", "target", "short", "max_tokens_per_second=1.0 min_tokens=1"],
    ]
    decode(work, f"{work}/exp/base", lines[0][0], otherwise=jobs)
    out = work / "RESULTS.otherwise.md"
    main(["compare", "report", "--data", f"{work}/data", "--out", str(out), *options])
    arms = re.findall(r"^\| target +\| (\w+) +\|", out.read_text().split("## Controls")[0], re.M)
    assert arms == ["arm", "base", "text_only", "off", "short"]
    texts = [
        (Path(folder) / f"decode_{tag}/target_test/text").read_text()
        for folder, tag in (
            (f"{work}/exp/base", "decode"),
            (lines[0][0], "decode_off"),
            (f"{work}/exp/base", "decode_short"),
        )
    ]
    assert texts[0] == texts[1] != texts[2]


def test_cells_matched_by_text_see_as_many_items_of_the_target(work: Path, planned) -> None:
    _, lines, cells = planned("text", match="text", budget=4)
    for line in lines:
        train(work, *line)
    seen = [cell.run["seen"] for cell in gather(cells, work / "exp/base", "decode")[1:]]
    of_target = [sum(n for k, n in s.items() if k.startswith("target/")) for s in seen]
    assert of_target == [4 * 8, 4 * 8]


def test_a_cell_matched_by_time_ends_in_time(work: Path, planned) -> None:
    _, lines, cells = planned("time", match="time", budget=0.3)
    train(work, *lines[0])
    run = gather(cells, work / "exp/base", "decode")[1].run
    assert run["seconds"] >= 0.3 and run["steps"] >= 1
    assert run["config"]["train"]["steps"] is None
