#!/usr/bin/env bash
# torch 2.13.0, FSDP2 (torch.distributed.fsdp.fully_shard), on CPUs with gloo.
#
# One would expect an evaluation before the first step, in torch.inference_mode, to work with a model
# that is spread by fully_shard as with any other. But its first gathering of weights fails there,
# and so does training from then on: the storage of the gathered weights was made as inference
# tensors, and it is kept. After one pass outside of inference_mode, or after unshard() and
# reshard(), both work, in any order.
#
# Seen: "RuntimeError: Inference tensors do not track version counter." in the evaluation and in the
# training after it; no error where training comes first, nor after unshard() and reshard().
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 >&2
cd "$work"
"$work/venv/bin/python" -W ignore - <<'END'
import sys
import tempfile

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

store = tempfile.mktemp()
dist.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
mesh = init_device_mesh("cpu", (1,))
inputs = torch.randn(2, 8)


def evaluate(model):
    with torch.inference_mode():
        model(inputs)


def train(model):
    model(inputs).sum().backward()


def gather(model):
    model.unshard()
    model.reshard()


def outcome(*steps):
    """What comes of these calls, one after another, on one new model."""
    model = fully_shard(torch.nn.Linear(8, 8), mesh=mesh)
    said = []
    for step in steps:
        try:
            step(model)
            said.append("works")
        except RuntimeError as error:
            said.append(f"RuntimeError: {error}")
    return said


seen = {
    "evaluate, train": outcome(evaluate, train),
    "train, evaluate, train": outcome(train, evaluate, train),
    "unshard and reshard, evaluate, train": outcome(gather, evaluate, train),
}
print(f"torch {torch.__version__}:")
for name, said in seen.items():
    print(f"{name}: {'; '.join(said)}")
dist.destroy_process_group()
first, *others = seen.values()
if not all(said.startswith("RuntimeError") for said in first) or any(
    said != "works" for said in sum(others, [])
):
    sys.exit("changed: inference_mode before the first pass is another matter now")
END
