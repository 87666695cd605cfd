#!/usr/bin/env bash
# transformers 5.23.0, generate() with `inputs_embeds` and a repetition penalty.
#
# With embeddings as the prompt (speech, images, soft prompts) the tokens given to a logits
# processor are the generated ones alone, and a warning says that the penalty sees only these. One
# would expect a row's output not to depend on its padding, as without the penalty. But as many of
# the first generated tokens as the row has pads are left out of the penalty, as if the pads stood
# in front of them. So what a row gives depends on the longest row of its batch, and in a batch of
# rows of different length the penalty has no effect on the beginning of the shorter ones.
#
# Seen: greedy search gives other tokens with 8 pads than with none, but only with the penalty;
# with `input_ids` there is no difference.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 >&2
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$work/venv/bin/python" -W ignore - <<'END'
import sys

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
model = LlamaForCausalLM(
    LlamaConfig(
        vocab_size=40,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        initializer_range=0.5,
        eos_token_id=None,
        pad_token_id=0,
    )
).eval()


def tokens(pads, penalty, embedded=True):
    """What greedy search adds to six tokens, with so many pads in front of them."""
    ids = torch.tensor([[0] * pads + [5, 6, 7, 8, 9, 10]])
    mask = torch.tensor([[0] * pads + [1] * 6])
    given = {"inputs_embeds": model.get_input_embeddings()(ids)} if embedded else {"input_ids": ids}
    found = model.generate(
        **given,
        attention_mask=mask,
        max_new_tokens=16,
        do_sample=False,
        repetition_penalty=penalty,
    )
    return found[0, -16:].tolist()


print(f"transformers {transformers.__version__}, repetition_penalty=1.5, inputs_embeds:")
print(f"without pads {tokens(0, 1.5)}")
print(f"with 8 pads  {tokens(8, 1.5)}")
if tokens(0, 1.0) != tokens(8, 1.0) or tokens(0, 1.5, False) != tokens(8, 1.5, False):
    sys.exit("changed: padding matters without the penalty, or with input_ids")
if tokens(0, 1.5) == tokens(8, 1.5):
    sys.exit("changed: the penalty no longer depends on padding")
END
