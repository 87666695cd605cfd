"""What the workers of decode.py share: the model, its utterances, and how long a text may be."""

import json
import sys
from pathlib import Path

import torch
from utterances import load_utterances

from speechllm.decode.config import DecodeConfig
from speechllm.decode.search.search import token_bound
from speechllm.model.bundle import load_bundle

settings = json.loads(sys.argv[1])
model = load_bundle(Path(settings["bundle"]), settings["pretrained"])
torch.set_grad_enabled(False)
utterances = load_utterances(model, Path(settings["data"]), settings["utterances"])
bound = max(token_bound(u.seconds, DecodeConfig()) for u in utterances)
"""Most tokens of a text: what the longest utterance may have, for `generate` knows one bound."""
