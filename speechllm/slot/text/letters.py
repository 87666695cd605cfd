"""Text spelled in tokens of one letter each: the symbols of CTC if there is little speech.

In twenty minutes of speech most tokens of a vocabulary occur never or once, but each letter often.
"""

from typing import Any

from speechllm.errors import ConfigError

LONGEST = 5
"""Maximum length of a letter's token in the vocabulary: a space mark and four bytes of UTF-8."""

BYTE = "\N{REPLACEMENT CHARACTER}"
"""Text that a part of a character is decoded to."""


class Letters:
    """Tokens of single characters, at the beginning of a word and inside.

    ` THE` is spelled ` T`, `H`, `E`, so that no symbol is needed for the space between words.

    Args:
        tokenizer: the LLM's tokenizer.

    Raises:
        ConfigError: the tokenizer has no such tokens.
    """

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self.ids = _letters(tokenizer)
        """Ids of all tokens that a text may be spelled in, sorted."""
        self._known: dict[str, list[int]] = {}
        if tokenizer.decode(self("AB ab")).strip() != "AB ab":
            raise ConfigError(
                "model.projector.ctc.units: this LLM's tokenizer has no letters inside words",
                "set model.projector.ctc.units: tokens",
            )

    def __call__(self, text: str) -> list[int]:
        """Token ids of a text; characters that have no token of their own are left out."""
        return self.part("".join(f" {word}" for word in text.split()))

    def part(self, text: str) -> list[int]:
        """Token ids of a part of a text, in which each space begins a word."""
        words = text.split(" ")
        spelled = [*words[0]]
        spelled += [c for word in words[1:] for c in (f" {word[:1]}", *word[1:])]
        return [i for c in spelled for i in self._of(c)]

    def of_token(self, token: int, begins: bool) -> list[int]:
        """Token ids that a token of the LLM is spelled in.

        Args:
            token: any token; one that is no text, or a part of a character, has no spelling.
            begins: whether it is the first of a text, and so begins a word even without a space.
        """
        text = self.tokenizer.decode([token], skip_special_tokens=True)
        return self.part(f" {text.lstrip()}" if begins and text.strip() else text)

    def _of(self, character: str) -> list[int]:
        if character not in self._known:
            ids = self.tokenizer(character, add_special_tokens=False).input_ids
            self._known[character] = ids if set(ids) <= set(self.ids) else []
        return self._known[character]


def tokens_of(tokenizer: Any, alphabet: str) -> list[int]:
    """Sorted ids of the tokens that these characters spell, with or without a space before.

    Args:
        tokenizer: the LLM's tokenizer.
        alphabet: the characters.

    Raises:
        ConfigError: there is no such token.
    """
    known = set(alphabet)
    special = set(tokenizer.all_special_ids)
    texts = tokenizer.batch_decode([[i] for i in range(len(tokenizer))])
    spelled = [i for i, text in enumerate(texts) if text.strip() and known >= {*text.strip()}]
    if not (found := [i for i in spelled if i not in special]):
        raise ConfigError("model.projector.ctc.alphabet: no token is spelled in these characters")
    return found


def _letters(tokenizer: Any) -> list[int]:
    special = set(tokenizer.all_special_ids)
    short = sorted(i for token, i in tokenizer.get_vocab().items() if len(token) <= LONGEST)
    texts = tokenizer.batch_decode([[i] for i in short])
    return [i for i, t in zip(short, texts, strict=True) if i not in special and _is_letter(t)]


def _is_letter(text: str) -> bool:
    """Whether a token is a character, with or without a space before it, or a space alone."""
    character = text.removeprefix(" ")
    return text == " " or (len(character) == 1 and text.isprintable() and character != BYTE)
