"""Bytes that each token of a tokenizer writes."""

import json
import re
from typing import Any

from speechllm.errors import ConfigError

BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""Mark of a blank in SentencePiece."""


def token_bytes(tokenizer: Any, sample: str) -> dict[int, bytes]:
    """Bytes of each token, by id; special tokens, which write nothing, are left out.

    Tokenizers of language models write bytes in two ways: GPT-2's have a letter for each byte,
    SentencePiece's have `<0x0A>` for bytes without a piece of their own.

    Args:
        tokenizer: a transformers tokenizer.
        sample: a text that its tokens must give back, to check that they are understood.

    Raises:
        ConfigError: the tokens do not give the sample back.
    """
    added = tokenizer.added_tokens_decoder
    special = {*tokenizer.all_special_ids, *(i for i, token in added.items() if token.special)}
    letters = _gpt2_letters() if _is_byte_level(tokenizer) else None
    written = {}
    for token, number in tokenizer.get_vocab().items():
        if number in special:
            continue
        if number in added:
            content = added[number].content.encode()
        elif letters is not None:
            content = bytes(letters[c] for c in token) if letters.keys() >= set(token) else b""
        elif byte := BYTE.fullmatch(token):
            content = bytes([int(byte[1], 16)])
        else:
            content = token.replace(SPACE, " ").encode()
        if content:
            written[number] = content
    ids = tokenizer(sample, add_special_tokens=False).input_ids
    back = b"".join(written.get(number, b"") for number in ids).decode(errors="replace")
    if back.strip() != sample.strip():
        raise ConfigError(
            f"the tokens of {tokenizer.name_or_path} are of a kind that constrained decoding does "
            f"not know: {sample!r} became {back!r}",
            "decode without `constrained`",
        )
    return written


def _is_byte_level(tokenizer: Any) -> bool:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return backend is not None and '"ByteLevel"' in json.dumps(
        json.loads(backend.to_str())["decoder"]
    )


def _gpt2_letters() -> dict[str, int]:
    """Byte of each letter: a visible byte is its own letter, others have letters past Latin-1."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    unseen = [byte for byte in range(256) if byte not in seen]
    return {chr(b): b for b in seen} | {chr(256 + n): b for n, b in enumerate(unseen)}
