"""Check that vocabularies are the same: a language model scores only tokens it was trained on."""

import hashlib
import json
from typing import Any

from speechllm.errors import ConfigError


def vocabulary_hash(tokenizer: Any) -> str:
    """Hash of all tokens and their ids."""
    known = sorted(tokenizer.get_vocab().items())
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def check_same_vocabulary(name: str, theirs: Any, ours: Any) -> None:
    """Raise ConfigError if two tokenizers do not have the same tokens under the same ids.

    Args:
        name: of the language model, for the message.
        theirs: its tokenizer.
        ours: tokenizer of the recogniser's LLM.
    """
    there, here = theirs.get_vocab(), ours.get_vocab()
    if there == here:
        return
    odd = sorted(t for t in there.keys() | here.keys() if there.get(t) != here.get(t))
    raise ConfigError(
        f"{name}: its tokenizer is not that of the recogniser's LLM: {len(there)} and {len(here)} "
        f"tokens, {len(odd)} of them differ, the first is {odd[0]!r}",
        "name an LM of the same family, train one on the LLM's tokens (`speechllm lm`), or take an "
        "n-gram of words",
    )
