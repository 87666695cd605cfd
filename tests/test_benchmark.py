"""tools/benchmark: figures come from turns of one run, and say what they are ratios of."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

BUILD = ROOT
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


@pytest.mark.slow
def test_cases_of_text(tmp_path: Path) -> None:
    """Beside the baseline, and beside stand-ins for what is not there in a test."""
    (tmp_path / "utils").mkdir()
    (tmp_path / "utils" / "validate_data_dir.sh").write_text('test -s "$3/spk2utt"\n')
    sclite = tmp_path / "sclite"
    sclite.write_text('#!/bin/sh\ntest -s "$2" && test -s "$5"\n')
    sclite.chmod(0o755)
    options = ["--lines", "1000", "--rounds", "1", "--work", tmp_path, "--baseline", BUILD]
    others = ["--kaldi", tmp_path, "--sclite", sclite]
    done = benchmark("check", "score", "plan", *options, *others)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "benchmark.json").read_text())
    rows = {(row["case"], row["what"]): row for row in found["figures"]}
    assert list(rows) == [
        ("check", "baseline"),
        ("check", "kaldi"),
        ("score", "baseline"),
        ("score", "sclite"),
        ("plan", "growth"),
        ("plan", "baseline"),
    ]
    for (case, _), row in rows.items():
        assert row["ratio"] == pytest.approx(row["now"] / row["before"]) and row["now"] > 0
        assert case == "plan" or (row["peak_before"] > 0 and row["peak_now"] > 0)
    assert "exponent" in rows["plan", "growth"]
    said = json.loads((tmp_path / "text-1000" / "score-now" / "wer.json").read_text())
    assert 5 < said["scores"]["plain"]["wer"]["percent"] < 15


@pytest.mark.slow
def test_the_published_loop_begins_with_the_same_loss(tmp_path: Path) -> None:
    options = ["--utterances", "5", "--rounds", "1", "--dtypes", "fp32", "--shape", "tiny"]
    done = benchmark("published", *options, "--work", tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "benchmark.json").read_text())["figures"]
    parts = ("LLM part", "first epoch", "later epochs")
    configs = ("same config", "recipe")
    names = [f"{part}, {config}" for config in configs for part in parts]
    assert [row["what"] for row in rows] == [*names, "distance, same config"]
    assert rows[0]["losses"][0] == pytest.approx(rows[0]["losses"][1], abs=1e-5)
    assert rows[1]["now"] < rows[2]["now"] and rows[1]["before"] == rows[2]["before"]
    assert rows[0]["ratio"] == pytest.approx(rows[-1]["ratio"])  # the same arithmetic in both


@pytest.mark.slow
def test_without_a_checkout_slam_is_left_out(tmp_path: Path) -> None:
    done = benchmark("slam", "--shape", "tiny", "--work", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "slam: left out, since --slam is not given" in done.stdout
    assert json.loads((tmp_path / "benchmark.json").read_text())["figures"] == []


def test_arithmetic_of_a_step() -> None:
    from peft import LoraConfig, get_peft_model
    from torch import nn
    from transformers import LlamaConfig, LlamaForCausalLM

    sys.path.insert(0, str(RUN.parent))
    from arithmetic import llm_flops, projector_flops

    sizes = dict(hidden_size=8, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2)
    llm = LlamaForCausalLM(LlamaConfig(vocab_size=32, **sizes))
    llm = get_peft_model(llm, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    projector = nn.Sequential(nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 8))
    assert projector_flops(projector, 3) == 3 * (4 * 20 * 10 + 6 * 10 * 8)
    assert llm_flops(llm, [4, 4], 4) == {
        "layers": 2 * 4 * 3 * 4 * (4 * 8 * 8 + 3 * 8 * 16),
        "lora": 2 * 4 * 3 * 6 * (8 * 2 + 2 * 8),
        "attention": 2 * 3 * 12 * 8 * (4 * 5 / 2),
        "head": 2 * 2 * 4 * 8 * 32,
    }


def test_the_exponent_of_growth() -> None:
    sys.path.insert(0, str(RUN.parent))
    from large import exponent

    line = {size: 2.0 + 3e-5 * size for size in (10_000, 100_000, 1_000_000)}
    assert exponent(line, 2.0) == pytest.approx(1.0)
    square = {size: 1.0 + 1e-6 * size**2 for size in (1000, 10_000)}
    assert exponent(square, 1.0) == pytest.approx(2.0)
    assert exponent(line, 3.0) is None and exponent({1000: 4.0}, 2.0) is None


@pytest.mark.slow
def test_large_data_at_small_sizes(tmp_path: Path) -> None:
    options = ["--utterances", "400", "800", "--times", "1", "--work", tmp_path]
    large = [sys.executable, RUN.with_name("large.py"), *options]
    done = subprocess.run(large, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cases = ["check", "plan", "subset", "split", "import", "score", "report", "pages"]
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in table[2:]] == cases
    found = json.loads((tmp_path / "large.json").read_text())["found"]
    for case in cases:
        assert found[case].keys() == {"200", "400", "800"}
        assert all(used["cpu"] > 0 and used["peak"] > 20 for used in found[case].values())
    assert not [*tmp_path.glob("large-*")]  # data are removed
