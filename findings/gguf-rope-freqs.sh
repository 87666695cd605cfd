#!/usr/bin/env bash
# transformers 5.23.0 with gguf 0.19.0, AutoModelForCausalLM.from_pretrained(gguf_file=...).
#
# Llama 3.1 and later slow down some of their rotary frequencies. A GGUF file says so by a tensor,
# `rope_freqs.weight`, with a divisor for each frequency. One would expect it to be applied, to
# become `rope_type: llama3`, or to be refused. It is passed over without a warning: the model has
# the plain frequencies, and where the divisor is 8, as it is for the slowest of Llama 3.1, they
# are 8 times too fast.
#
# Seen: a file with such divisors and one without give `rope_type: default`, the same frequencies
# and bit-equal logits.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 gguf==0.19.0 accelerate==1.15.0 >&2
cd "$work"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=warning "$work/venv/bin/python" - <<'END'
import sys

import gguf
import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM

WIDTH, HEADS, WORDS = 32, 2, 40
DIVISORS = np.array([1, 1, 1, 2, 4, 8, 8, 8], np.float32)
square, norm, wide = (WIDTH, WIDTH), (WIDTH,), (2 * WIDTH, WIDTH)
TENSORS = {"token_embd": (WORDS, WIDTH), "output": (WORDS, WIDTH), "output_norm": norm}
TENSORS |= {f"blk.0.attn_{name}": square for name in ("q", "k", "v", "output")}
TENSORS |= {"blk.0.attn_norm": norm, "blk.0.ffn_norm": norm}
TENSORS |= {"blk.0.ffn_gate": wide, "blk.0.ffn_up": wide, "blk.0.ffn_down": wide[::-1]}


def load(name, more):
    writer = gguf.GGUFWriter(name, "llama")
    writer.add_block_count(1)
    writer.add_context_length(131072)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(2 * WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(500000.0)
    writer.add_vocab_size(WORDS)
    rng = np.random.default_rng(0)
    tensors = {key: rng.normal(size=shape).astype(np.float32) for key, shape in TENSORS.items()}
    for key, value in (tensors | more).items():
        writer.add_tensor(f"{key}.weight", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return AutoModelForCausalLM.from_pretrained(".", gguf_file=name)


plain, divided = load("plain.gguf", {}), load("divided.gguf", {"rope_freqs": DIVISORS})
ids = torch.arange(WORDS)[None]
with torch.no_grad():
    same = torch.equal(plain(ids).logits, divided(ids).logits)
slowest = divided.model.rotary_emb.inv_freq[-1] / plain.model.rotary_emb.inv_freq[-1]
kind = divided.config.rope_parameters["rope_type"]
print(f"transformers {transformers.__version__}: divided by 8, the slowest frequency is {slowest:g}")
print(f"times the plain one; rope_type: {kind}; same logits: {same}")
if kind != "default" or slowest != 1 or not same:
    sys.exit("changed: the divisors of a GGUF file have an effect now")
END
