#!/usr/bin/env bash
# transformers 5.23.0, GraniteSpeechForConditionalGeneration.
#
# Granite's language models divide their logits by the `logits_scaling` of their config. One would
# expect Granite Speech, which holds such a model with such a config, to give the same logits for
# the same text. But its class applies the head and leaves the division out. The best token is the
# same; but probabilities are sharper by that power, and with them confidences, beam search with
# further scores, sampling and the loss. Nothing says so.
#
# Seen: with the same random weights, its logits are 8 times those of GraniteForCausalLM.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 >&2
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$work/venv/bin/python" - <<'END'
import sys

import torch
import transformers
from transformers import (
    GraniteConfig,
    GraniteForCausalLM,
    GraniteSpeechConfig,
    GraniteSpeechForConditionalGeneration,
)

torch.manual_seed(0)
text = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "logits_scaling": 8.0,
}
projector = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
config = GraniteSpeechConfig(
    text_config={"model_type": "granite", **text},
    encoder_config={"hidden_dim": 16, "num_layers": 1, "num_heads": 2, "dim_head": 8},
    projector_config={
        "model_type": "blip_2_qformer",
        "intermediate_size": 16,
        "encoder_hidden_size": 16,
        **projector,
    },
    has_lora_adapter=False,
    audio_token_index=3,
)
speech = GraniteSpeechForConditionalGeneration(config).eval()
language = GraniteForCausalLM(GraniteConfig(**text)).eval()
language.model.load_state_dict(speech.model.language_model.state_dict())
language.lm_head.load_state_dict(speech.lm_head.state_dict())
ids = torch.tensor([[5, 6, 7, 8]])
with torch.no_grad():
    ratio = speech(input_ids=ids).logits / language(input_ids=ids).logits
low, high = ratio.min().item(), ratio.max().item()
print(f"transformers {transformers.__version__}: logits of Granite Speech over those of its")
print(f"language model: {low:.3f} to {high:.3f}")
if not torch.allclose(ratio, torch.tensor(8.0), rtol=1e-3):
    sys.exit("changed: Granite Speech scales its logits in another way now")
END
