"""tools/benchmark: figures come from turns of one run, and say what they are ratios of."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BUILD = Path(__file__).parents[1]
RUN = BUILD / "tools" / "benchmark" / "run.py"


def benchmark(*options: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, RUN, *options], capture_output=True, text=True)


@pytest.mark.slow
def test_each_case_at_tiny_sizes(tmp_path: Path) -> None:
    options = ["--utterances", "4", "--rounds", "1", "--dtypes", "fp32", "--shape", "tiny"]
    done = benchmark("step", "features", *options, "--work", tmp_path, "--baseline", BUILD)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "benchmark.json").read_text())
    assert found["shape"] == "tiny" and found["threads"] == 1 and found["gflops"]["fp32"] > 0
    names = [(row["case"], row["what"], row["dtype"]) for row in found["figures"]]
    assert names == [
        ("step", "base, same config", "fp32"),
        ("step", "base, recipe", "fp32"),
        ("step", "adapt, same config", "fp32"),
        ("step", "adapt, recipe", "fp32"),
        ("features", "batches", "fp32"),
        ("features", "all", "fp32"),
    ]
    for row in found["figures"]:
        assert row["ratio"] == pytest.approx(row["now"] / row["before"]) and row["now"] > 0
    base = found["figures"][:2]
    assert base[0]["before"] == base[1]["before"]  # one baseline, two configs of this build
    table = done.stdout.splitlines()
    assert len(table) == 2 + len(names) and "GFLOPS" in table[0]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    done = benchmark("step", "--work", tmp_path, "--encoder", "a", "--llm", "b", "--source", "c")
    assert done.returncode == 2 and "--target is missing" in done.stderr


@pytest.mark.slow
def test_searches_write_the_same_texts(tmp_path: Path) -> None:
    options = ["--utterances", "5", "--rounds", "1", "--dtypes", "fp32", "--shape", "tiny"]
    done = benchmark("decode", *options, "--work", tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "benchmark.json").read_text())["figures"]
    searches = [f"{kind}, batch {size}" for kind in ("beam 4", "greedy") for size in (1, 4, 16)]
    assert [row["what"] for row in rows] == searches
    for row in rows:
        assert row["texts"]["equal"] == row["texts"]["of"] == 5
        assert row["rtfx"]["now"] > row["now"] / 2 > 0  # noise of half a second or more
