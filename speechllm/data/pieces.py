"""Text spelled in an LLM's more frequent tokens: BPE with its first merges alone.

A vocabulary of fifty thousand tokens has one for most words, and little speech holds most words
never or once. The first thousand merges make word parts that an hour of speech holds often, and any
word is made of them. As merges are made in order, every token of the LLM is a row of such pieces.
"""

import json
from typing import Any

from speechllm.errors import ConfigError


class Pieces:
    """The tokens that the first merges make, and single characters.

    Args:
        tokenizer: of the LLM; byte-level BPE.
        merges: so many, the most frequent ones.

    Raises:
        ConfigError: the tokenizer is of another kind.
    """

    def __init__(self, tokenizer: Any, merges: int):
        from tokenizers import Tokenizer

        backend = getattr(tokenizer, "backend_tokenizer", None)
        parts = json.loads(backend.to_str()) if backend else {"model": {}}
        model = parts["model"]
        if model.get("type") != "BPE":
            raise ConfigError(
                "model.projector.ctc.units: pieces are of BPE, and this LLM's tokenizer is another",
                "set model.projector.ctc.units: tokens",
            )
        model["merges"] = model["merges"][:merges]
        parts |= {"added_tokens": [], "post_processor": None}  # transcripts are no control tokens
        self._tokenizer = Tokenizer.from_str(json.dumps(parts))
        made = [m if isinstance(m, list) else m.split(" ") for m in model["merges"]]
        tokens = {"".join(pair) for pair in made} | {t for t in model["vocab"] if len(t) == 1}
        self.ids = sorted(model["vocab"][token] for token in tokens)
        """All tokens that a text may be spelled in, sorted."""
        if tokenizer.decode(self("AB ab")).strip() != "AB ab":
            raise ConfigError(
                "model.projector.ctc.units: this LLM's tokenizer does not give back its pieces",
                "set model.projector.ctc.units: tokens",
            )

    def __call__(self, text: str) -> list[int]:
        """Token ids; the first word has a space before it like all others."""
        return self.part("".join(f" {word}" for word in text.split()))

    def part(self, text: str) -> list[int]:
        """Token ids of a part of a text, as it stands."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids
