#!/usr/bin/env bash
# peft 0.21.2, `with model.disable_adapter():`.
#
# One would expect a context manager to leave a model as it found it; its documentation speaks of
# adapters that are off inside the block. But on leaving it all weights of the active adapter ask
# for gradients, those that the user had frozen too. Whoever trains a part of an adapter (the A or B
# matrices alone, some layers, or nothing while a projector learns) and asks the base for its
# logits in each step, as a KL to the base does, trains all of it from the second step on, if the
# optimiser was given all parameters; frozen weights also get gradients that cost memory.
#
# Seen: an adapter frozen but for its B matrices is trainable whole after an empty block.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 peft==0.21.2 accelerate==1.15.0 >&2
HF_HUB_OFFLINE=1 "$work/venv/bin/python" -W ignore - <<'END'
import sys

import peft
import torch

settings = peft.LoraConfig(r=4, target_modules=["layer"])
model = peft.get_peft_model(torch.nn.ModuleDict({"layer": torch.nn.Linear(8, 8)}), settings)
for name, parameter in model.named_parameters():
    parameter.requires_grad_("lora_B" in name)


def trained():
    return [name.split(".")[-3] for name, p in model.named_parameters() if p.requires_grad]


before = trained()
with model.disable_adapter():
    inside = trained()
after = trained()
print(f"peft {peft.__version__}: trainable before the block {before}, in it {inside}, after it {after}")
if before != ["lora_B"] or inside != [] or after != ["lora_A", "lora_B"]:
    sys.exit("changed: disable_adapter leaves what asks for gradients in another way now")
END
