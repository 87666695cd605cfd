#!/usr/bin/env bash
# peft 0.21.2, add_weighted_adapter(combination_type="linear") of LoRA.
#
# One would expect the linear combination of two adapters to change weights by the linear
# combination of what they change: with weights of 0.5 by the mean, as when checkpoints or two
# domains are averaged. But the factors A and B are combined, each with the roots of the weights,
# and then multiplied, which adds A of the one times B of the other. Since -A and -B make the same
# product as A and B, what comes out depends on signs that mean nothing; "cat" and "svd" (at a rank
# that holds both) give the mean.
#
# Seen: the "linear" mean of an adapter and of its equal with both signs turned is 0, where "cat"
# gives the adapter itself; that of two different ones is off by about as much as it should be.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 peft==0.21.2 accelerate==1.15.0 >&2
HF_HUB_OFFLINE=1 "$work/venv/bin/python" -W ignore - <<'END'
import sys

import peft
import torch

torch.manual_seed(0)
settings = peft.LoraConfig(
    r=4,
    lora_alpha=8,
    target_modules=["layer"],
    init_lora_weights=False,
)
model = peft.get_peft_model(torch.nn.ModuleDict({"layer": torch.nn.Linear(32, 32)}), settings, "a")
for name in ("b", "turned"):
    model.add_adapter(name, settings)
layer = model.base_model.model["layer"]
with torch.no_grad():
    layer.lora_A["turned"].weight.copy_(-layer.lora_A["a"].weight)
    layer.lora_B["turned"].weight.copy_(-layer.lora_B["a"].weight)


def off(one, other, kind):
    """How far the mean of two adapters is from what it should be, as a share of that."""
    name = f"{one}-{other}-{kind}"
    model.base_model.add_weighted_adapter([one, other], [0.5, 0.5], name, combination_type=kind)
    mean = 0.5 * layer.get_delta_weight(one) + 0.5 * layer.get_delta_weight(other)
    return ((layer.get_delta_weight(name) - mean).norm() / mean.norm()).item()


same = torch.equal(layer.get_delta_weight("a"), layer.get_delta_weight("turned"))
linear = off("a", "turned", "linear"), off("a", "b", "linear")
cat = off("a", "turned", "cat"), off("a", "b", "cat")
print(f"peft {peft.__version__}: the mean of two equal adapters ({same}) and of two others is off")
print(f"by {linear[0]:.0%} and {linear[1]:.0%} with linear, by {cat[0]:.0%} and {cat[1]:.0%} with cat")
if not same or abs(linear[0] - 1) > 1e-3 or linear[1] < 0.5 or max(cat) > 1e-3:
    sys.exit("changed: adapters are combined in another way now")
END
