"""Tokenizer of a GGUF file.

transformers builds it, but knows only some names of llama.cpp's pre-tokenizers, which cut text
before the merges (`tokenizer.ggml.pre`). For all others it cuts as GPT-2 does, so that SmolLM's
"a  1" would get two spaces of one token each. Here each name has its rule, or is refused.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from speechllm.convert.gguf_file import GgufFile
from speechllm.convert.remedies import AGAIN_OR_OTHER, FROM_ELSEWHERE
from speechllm.errors import DataError, shown
from speechllm.files.guarded import guarded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

AS_TRANSFORMERS = {
    *("llama-bpe", "llama3", "llama-v3", "falcon3", "smaug-bpe", "dbrx", "tekken"),
    *("qwen2", "deepseek-r1-qwen"),
}
AS_GPT2 = {"gpt-2", "mpt", "olmo", "jais"}
DIGITS = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
"""Names that cut off each digit and then cut as GPT-2 does (llama.cpp's llama-vocab.cpp)."""
SPECIAL = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
WORDS = "tokenizer.ggml"
SPACE = "\u2581"


def gguf_tokenizer(file: GgufFile, rows: int) -> "PreTrainedTokenizerFast":
    """Build the tokenizer of a file, with chat template and special tokens.

    Args:
        file: the GGUF file.
        rows: number of rows of the model's embeddings.

    Raises:
        DataError: there is no tokenizer, it is of an unknown kind, or it does not fit the model.
    """
    from transformers import PreTrainedTokenizerFast

    kind, tokens = file.get(f"{WORDS}.model"), file.get(f"{WORDS}.tokens")
    if not isinstance(tokens, list) or kind is None:
        raise DataError("holds no tokenizer", file.place, remedy=FROM_ELSEWHERE)
    if len(tokens) != rows:
        message = f"its vocabulary has {len(tokens)} tokens, and its model {rows} rows"
        raise DataError(message, file.place, remedy=FROM_ELSEWHERE)
    cut = file.get(f"{WORDS}.pre", "none stated")
    known = sorted(AS_TRANSFORMERS | AS_GPT2 | DIGITS)
    if kind not in ("gpt2", "llama"):
        message = f"its tokenizer is a {shown(kind)}; known: gpt2, llama"
        raise DataError(message, file.place, remedy=FROM_ELSEWHERE)
    if kind == "gpt2" and cut not in known:
        message = f"its tokenizer cuts text as {shown(cut)}; known: {', '.join(known)}"
        raise DataError(message, file.place, remedy=FROM_ELSEWHERE)
    for name in (*SPECIAL.values(), "eot"):
        number = file.get(f"{WORDS}.{name}_token_id")
        if number is not None and not (type(number) is int and 0 <= number < rows):
            message = f"its {name} token is {shown(number)}, of {rows} tokens"
            raise DataError(message, file.place, remedy=AGAIN_OR_OTHER)
    with guarded(file.place, "its tokenizer cannot be made", remedy=AGAIN_OR_OTHER):
        with TemporaryDirectory() as alone:  # so that no other file of its folder is read
            (Path(alone) / "model.gguf").symlink_to(file.path.resolve())
            tokenizer = PreTrainedTokenizerFast.from_pretrained(alone, gguf_file="model.gguf")
        return _mended(tokenizer, file, kind, cut)


def _mended(
    tokenizer: "PreTrainedTokenizerFast", file: GgufFile, kind: str, cut: str
) -> "PreTrainedTokenizerFast":
    """Fix a tokenizer of transformers: the file's tokens and no more, text cut as in llama.cpp."""
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens = file.get(f"{WORDS}.tokens")
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    # transformers adds the usual special tokens of its class, with ids beyond the model's last row.
    added = [token for token in described["added_tokens"] if token["id"] < len(tokens)]
    backend = Tokenizer.from_str(json.dumps(described | {"added_tokens": added}))
    if kind == "gpt2" and cut in DIGITS:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(r"\p{N}"), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
    if kind == "llama":
        prefix = [normalizers.Prepend(SPACE)] if file.get(f"{WORDS}.add_space_prefix", True) else []
        backend.normalizer = normalizers.Sequence([*prefix, normalizers.Replace(" ", SPACE)])
        backend.pre_tokenizer = None
    if backend.get_vocab_size() != len(tokens):
        size = backend.get_vocab_size()
        message = f"its tokenizer becomes one of {size} tokens, for {len(tokens)} rows"
        raise DataError(message, file.place, remedy=FROM_ELSEWHERE)
    ids = {name: file.get(f"{WORDS}.{key}_token_id") for name, key in SPECIAL.items()}
    if ids["eos_token"] is None:  # then the end of a turn is the end of a text
        ids["eos_token"] = file.get(f"{WORDS}.eot_token_id")
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **{name: tokens[number] for name, number in ids.items() if number is not None},
        add_bos_token=bool(file.get(f"{WORDS}.add_bos_token", kind == "llama")),
        add_eos_token=bool(file.get(f"{WORDS}.add_eos_token", False)),
        chat_template=file.get("tokenizer.chat_template"),
    )
