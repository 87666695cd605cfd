#!/usr/bin/env bash
# transformers 5.23.0 with gguf 0.19.0, AutoTokenizer.from_pretrained(gguf_file=...).
#
# How text is cut before any merge stands in a GGUF file by name (`tokenizer.ggml.pre`), since the
# merges were learned with it. transformers knows the names of some models. For others, such as
# `smollm` (SmolLM and SmolLM2, which put each digit by itself), one would expect a refusal or at
# least a warning. But such a file's text is cut as that of GPT-2, and nothing is said. Most text
# comes out the same; what has blanks or line ends before a number, as a prompt with a list, does
# not, so that the model is given what it never saw.
#
# Seen: with the vocabulary of a tokenizer that cuts as SmolLM's does, "Say:\n\n1 one" gets two
# tokens for its line ends instead of one, and "a  1" two for its blanks.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 gguf==0.19.0 >&2
cd "$work"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=warning "$work/venv/bin/python" - <<'END'
import json
import sys

import gguf
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

TEXTS = ["Say:\n\n1 one", "a  1"]
own = Tokenizer(models.BPE())
own.pre_tokenizer = pre_tokenizers.Sequence(
    [
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ]
)
trainer = trainers.BpeTrainer(
    vocab_size=300,
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    show_progress=False,
)
own.train_from_iterator([*TEXTS, "Say:\n\n2 two"] * 10, trainer)
tokens = sorted(own.get_vocab(), key=own.token_to_id)

writer = gguf.GGUFWriter("model.gguf", "llama")
writer.add_tokenizer_model("gpt2")
writer.add_tokenizer_pre("smollm")
writer.add_token_list(tokens)
writer.add_token_types([gguf.TokenType.NORMAL] * len(tokens))
writer.add_token_merges([" ".join(pair) for pair in json.loads(own.to_str())["model"]["merges"]])
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

read = AutoTokenizer.from_pretrained(".", gguf_file="model.gguf")
print(f"transformers {transformers.__version__}:")
for text in TEXTS:
    print(f"{text!r}: {read.tokenize(text)} instead of {own.encode(text).tokens}")
if read.tokenize("Say one") != own.encode("Say one").tokens:
    sys.exit("changed: text without a number is cut in another way, too")
if any(read.tokenize(text) == own.encode(text).tokens for text in TEXTS):
    sys.exit("changed: the name of the pre-tokenizer has an effect now")
END
