#!/usr/bin/env bash
# transformers 5.23.0 with gguf 0.19.0, AutoModelForCausalLM.from_pretrained(gguf_file=...).
#
# Weights read from a GGUF file are turned back into ordinary tensors: the model is a plain
# LlamaForCausalLM of float32 that trains and computes as any other. One would expect
# save_pretrained to write it, since reading GGUF is there to convert and to fine-tune. It
# refuses: the model counts as quantised for good, even where no tensor of the file ever was.
#
# Seen: ValueError "The model is quantized with gguf and is not serializable" for a file of
# float32. Taking `quantization_config` out of its config and `hf_quantizer` from the model lets
# it be saved.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 gguf==0.19.0 accelerate==1.15.0 >&2
cd "$work"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$work/venv/bin/python" - <<'END'
import sys

import gguf
import numpy as np
import transformers
from transformers import AutoModelForCausalLM

LAYER = {
    "attn_q": (32, 32),
    "attn_k": (32, 32),
    "attn_v": (32, 32),
    "attn_output": (32, 32),
    "attn_norm": (32,),
    "ffn_gate": (64, 32),
    "ffn_up": (64, 32),
    "ffn_down": (32, 64),
    "ffn_norm": (32,),
}
tensors = {"token_embd": (40, 32), "output": (40, 32), "output_norm": (32,)}
tensors |= {f"blk.0.{name}": shape for name, shape in LAYER.items()}
writer = gguf.GGUFWriter("model.gguf", "llama")
writer.add_block_count(1)
writer.add_context_length(64)
writer.add_embedding_length(32)
writer.add_feed_forward_length(64)
writer.add_head_count(2)
writer.add_head_count_kv(2)
writer.add_layer_norm_rms_eps(1e-5)
writer.add_rope_dimension_count(16)
writer.add_vocab_size(40)
rng = np.random.default_rng(0)
for name, shape in tensors.items():
    writer.add_tensor(f"{name}.weight", rng.normal(size=shape).astype(np.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

model = AutoModelForCausalLM.from_pretrained(".", gguf_file="model.gguf")
types = {str(parameter.dtype) for parameter in model.parameters()}
try:
    model.save_pretrained("saved")
    said = "saved"
except ValueError as error:
    said = str(error)
print(f"transformers {transformers.__version__}: {type(model).__name__} of {types}: {said}")
if types != {"torch.float32"} or "quantized with gguf and is not serializable" not in said:
    sys.exit("changed: a model that was read from GGUF is kept or saved in another way")
del model.config.quantization_config, model.hf_quantizer
model.is_quantized = False
model.save_pretrained("saved")
END
