"""Text spelled in an LLM's more frequent tokens: BPE with its first merges alone.

A vocabulary of fifty thousand tokens has one for most words, but in little speech most words occur
never or once. The first thousand merges make word parts that occur often in an hour of speech, and
any word consists of them. As merges are applied in order, every token of the LLM is a sequence of
such pieces.
"""

import json
from typing import Any

from speechllm.errors import ConfigError

SPACE = "\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}"
"""Character that byte-level BPE writes for a space."""


class Pieces:
    """Tokens that the first merges make, and single characters.

    Args:
        tokenizer: the LLM's tokenizer, a byte-level BPE.
        merges: number of merges, the most frequent ones.

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
        model |= {"merges": model["merges"][:merges], "ignore_merges": False}
        parts |= {"added_tokens": [], "post_processor": None}  # transcripts are no control tokens
        self._tokenizer = Tokenizer.from_str(json.dumps(parts))
        made = [m if isinstance(m, list) else m.split(" ") for m in model["merges"]]
        tokens = {"".join(pair) for pair in made} | {t for t in model["vocab"] if len(t) == 1}
        self.ids = sorted(model["vocab"][token] for token in tokens)
        """Ids of all tokens that a text may be spelled in, sorted."""
        self._special = set(tokenizer.all_special_ids)
        self._token_of = tokenizer.convert_ids_to_tokens
        known = set(self.ids) >= {*self("AB ab"), *self.part("AB")}
        if not known or tokenizer.decode(self.part("AB")) != "AB" or SPACE not in model["vocab"]:
            raise ConfigError(
                "model.projector.ctc.units: this LLM's tokenizer is no BPE of bytes",
                "set model.projector.ctc.units: tokens",
            )

    def __call__(self, text: str) -> list[int]:
        """Token ids of a text; the first word has a space before it like all others."""
        return self.part("".join(f" {word}" for word in text.split()))

    def part(self, text: str) -> list[int]:
        """Token ids of a part of a text, as it stands."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def of_token(self, token: int, begins: bool) -> list[int]:
        """Token ids of the pieces that a token of the LLM is made of.

        Args:
            token: any token; control tokens consist of no pieces.
            begins: whether it is the first of a text, and so begins a word even without a space.
        """
        if token in self._special:
            return []
        text = self._token_of(token)
        if begins and not text.startswith(SPACE):
            text = SPACE + text
        return [piece.id for piece in self._tokenizer.model.tokenize(text)]
