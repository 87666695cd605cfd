#!/usr/bin/env bash
# transformers 5.23.0 with gguf 0.19.0 and sentencepiece 0.2.3, a tokenizer from a GGUF file.
#
# A vocabulary of sentencepiece puts a "▁" before a text, so "hello" is a word at the beginning,
# too. One would expect the tokenizer that transformers makes of a GGUF file to do as sentencepiece
# does, since the file holds that vocabulary unchanged. But it adds the "▁" only where the text has
# no blank in front. So " hello" becomes what "hello" is, and of any blanks in front one is lost:
# text that goes on after other text, as in a template, gets other ids than sentencepiece gave.
#
# Seen: " hello" is ▁hello from GGUF, ▁ ▁hello from sentencepiece; "hello" is the same in both.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 gguf==0.19.0 sentencepiece==0.2.3 >&2
cd "$work"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=warning "$work/venv/bin/python" - <<'END'
import io
import sys

import gguf
import sentencepiece
import transformers
from transformers import AutoTokenizer

model = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(["say hello to all of us", "hello and good day"] * 50),
    model_writer=model,
    model_type="bpe",
    vocab_size=290,
    byte_fallback=True,
    normalization_rule_name="identity",
    remove_extra_whitespaces=False,
    hard_vocab_limit=False,
    minloglevel=2,
)
own = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def kind(number):
    if own.is_byte(number):
        return gguf.TokenType.BYTE
    if own.is_unknown(number):
        return gguf.TokenType.UNKNOWN
    return gguf.TokenType.CONTROL if own.is_control(number) else gguf.TokenType.NORMAL


numbers = range(own.vocab_size())
writer = gguf.GGUFWriter("model.gguf", "llama")
writer.add_tokenizer_model("llama")
writer.add_token_list([own.id_to_piece(number) for number in numbers])
writer.add_token_scores([own.get_score(number) for number in numbers])
writer.add_token_types([kind(number) for number in numbers])
writer.add_bos_token_id(own.bos_id())
writer.add_eos_token_id(own.eos_id())
writer.add_unk_token_id(own.unk_id())
writer.add_add_space_prefix(True)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

read = AutoTokenizer.from_pretrained(".", gguf_file="model.gguf")
texts = ["hello", " hello", "  hello"]
found = [read.tokenize(text) for text in texts]
right = [own.encode(text, out_type=str) for text in texts]
print(f"transformers {transformers.__version__}, sentencepiece {sentencepiece.__version__}:")
for text, one, other in zip(texts, found, right, strict=True):
    print(f"{text!r}: {one}; sentencepiece: {other}")
if found[0] != right[0] or found[1:] != right[:2]:
    sys.exit("changed: blanks in front are kept or lost in another way now")
END
