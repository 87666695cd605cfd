"""tools/benchmark/gpu.py: all of it at tiny sizes on a CPU, and what a killed case leaves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from speechllm.config import LoraConfig
from speechllm.model.llm import add_lora
from tests.helpers.paths import ROOT

FOLDER = ROOT / "tools" / "benchmark"


def benchmark(work: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, FOLDER / "gpu.py", "--shape", "tiny", "--work", work, *options]
    return subprocess.run(command, capture_output=True, text=True)


def read(work: Path) -> tuple[dict, dict[str, dict]]:
    """gpu.json, and its figures by name."""
    found = json.loads((work / "gpu.json").read_text())
    return found, {figure["what"]: figure for figure in found["figures"]}


def test_each_case_at_tiny_sizes(tmp_path: Path) -> None:
    done = benchmark(tmp_path, "--patience", "10")
    assert done.returncode == 0, done.stdout + done.stderr
    found, figures = read(tmp_path)
    assert found["options"]["shape"] == "tiny" and found["torch"] == torch.__version__
    assert found["device"] and found["machine"]
    assert {case["how"] for case in found["cases"].values()} == {"ok"}
    assert all(figure["seen"] > 0 for figure in figures.values())
    asked = {what: f["asked"] for what, f in figures.items() if f["asked"] is not None}
    share = "step, share of matmul bf16"
    assert asked == {"features": 5000, share: 0.45, "decode, beam 4": 1000}
    seen = {what: figure["seen"] for what, figure in figures.items()}
    reached = seen["step, FLOPs of valid positions"] / seen["step, seconds"]
    assert seen[share] == pytest.approx(reached / seen["matmul bf16"])
    assert {"matmul fp32", "matmul tf32", "encoder", "step, memory by speechllm info"} <= {*seen}
    # Each hypothesis of random weights runs to its bound.
    assert seen["decode, beam 4, tokens"] == pytest.approx(4, abs=0.2)
    table = done.stdout[done.stdout.rindex("asked") :].splitlines()[1:]
    assert len(table) == len(figures)


SLOW = """
import json, time
print(json.dumps({"fact": {"torch": "2"}}))
for seen in (1, 2):
    print(json.dumps({"figure": {"what": "rate", "seen": seen, "unit": "s/s", "asked": 3}}))
print("going on", flush=True)
time.sleep(600)
"""


def test_a_case_that_is_killed_leaves_what_it_has_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    import gpu

    (tmp_path / "slow.py").write_text(SLOW)
    monkeypatch.setattr(gpu, "CASE", tmp_path / "slow.py")
    monkeypatch.setattr(gpu, "LIMITS", {"step": 5})
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--work", str(tmp_path), "--cases", "step"])
    with pytest.raises(SystemExit, match="not all was measured: step"):
        gpu.main()
    found, figures = read(tmp_path)
    assert found["cases"]["step"]["how"] == "killed at its limit" and found["torch"] == "2"
    assert figures["rate"] == {"case": "step", "what": "rate", "seen": 2, "unit": "s/s", "asked": 3}
    shown = capsys.readouterr().out
    assert "s  step: going on" in shown and shown.rstrip().endswith(">= 3 s/s")


def test_flops_are_those_that_torch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one sequence without pads, all of whose positions are labels."""
    monkeypatch.syspath_prepend(str(FOLDER))
    from arithmetic import llm_flops

    sizes = dict(num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8)
    config = LlamaConfig(
        vocab_size=96, hidden_size=32, intermediate_size=48, attn_implementation="eager", **sizes
    )
    llm = add_lora(LlamaForCausalLM(config), LoraConfig(dropout=0.0))
    length = 20
    embeddings = torch.randn(1, length, 32, requires_grad=True)
    with FlopCounterMode(display=False) as counted:
        llm(inputs_embeds=embeddings).logits.sum().backward()
    # Eager attention computes the whole square, of which nearly half is masked.
    masked = 3 * 4 * 32 * 2 * length * (length - 1) / 2
    expected = sum(llm_flops(llm, [length], length).values()) + masked
    assert counted.get_total_flops() == pytest.approx(expected, rel=0.001)
