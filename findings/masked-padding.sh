#!/usr/bin/env bash
# transformers 5.23.0, Wav2Vec2ConformerModel and Data2VecAudioModel given an attention mask.
#
# One would expect the frames of an utterance not to depend on a longer one beside it, if the mask
# says what is padding and the features are normalised frame by frame (`feat_extract_norm:
# layer`): so it is for Wav2Vec2 and Wav2Vec2-BERT. But padding is set to zero once. After one
# layer it is no longer zero, and the convolutions that follow carry it into the frames beside it:
# those in each layer of Conformer, those for positions of data2vec. What is heard depends on the
# batch.
#
# Seen: frames, of standard deviation 1, change by over 1 with 0.4 s of padding; those of Wav2Vec2
# and of Wav2Vec2-BERT by less than 0.00001.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 >&2
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$work/venv/bin/python" - <<'END'
import sys

import torch
import transformers

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
WAVES = {
    "conv_dim": (16, 16, 16),
    "conv_stride": (5, 4, 4),
    "conv_kernel": (10, 8, 4),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embedding_groups": 4,
}
FRAMES = {"feature_projection_input_dim": 16}
KINDS = {
    "Wav2Vec2": WAVES | {"feat_extract_norm": "layer"},
    "Wav2Vec2Bert": FRAMES,
    "Wav2Vec2Conformer": WAVES | {"feat_extract_norm": "layer"},
    "Data2VecAudio": WAVES,
}


def change(name, settings):
    """How much the frames change, at most, when padding is put behind the input."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**SIZES, **settings)
    model = getattr(transformers, f"{name}Model")(config).eval()
    shape = (1, 8000) if settings is not FRAMES else (1, 60, 16)
    given = torch.randn(shape)
    padded = torch.cat([given, torch.zeros_like(given)[:, : int(0.8 * shape[1])]], 1)
    mask = torch.zeros(padded.shape[:2], dtype=torch.long)
    mask[:, : shape[1]] = 1
    with torch.no_grad():
        alone = model(given, attention_mask=mask[:, : shape[1]]).last_hidden_state
        beside = model(padded, attention_mask=mask).last_hidden_state
    return (alone - beside[:, : alone.shape[1]]).abs().max().item()


found = {name: change(name, settings) for name, settings in KINDS.items()}
print(f"transformers {transformers.__version__}: changes of masked encoders' frames by padding:")
print(", ".join(f"{name} {value:.6f}" for name, value in found.items()))
if max(found["Wav2Vec2"], found["Wav2Vec2Bert"]) > 1e-4:
    sys.exit("changed: padding leaks into other encoders, too")
if min(found["Wav2Vec2Conformer"], found["Data2VecAudio"]) < 0.1:
    sys.exit("changed: padding stays out")
END
