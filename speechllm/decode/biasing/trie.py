"""Phrases as a prefix tree of token ids, and what a prefix of a hypothesis has earned by it.

Every token along a phrase earns 1 while the phrase is under way. It is kept when the phrase ends
where a word ends, and taken back when the phrase is left unfinished, as in the context graphs of
WeNet and icefall. No tensors in here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from speechllm.data.dirs.forms import CLOSING

CARRIER = "a"
"""A word before a phrase, to see how the phrase is tokenised inside a sentence."""
SPACES = ("\u2581", "\u0120", " ")  # what marks a word's beginning: SentencePiece, byte-level BPE
END = -1
Node = dict[int, Any]
"""Nodes by token id; the key `END` where a phrase ends."""


@dataclass(frozen=True)
class TrieState:
    """Where a hypothesis stands.

    Attributes:
        length: its tokens.
        kept: bit p is set where the token at p is part of a finished phrase; so no token earns
            twice, though phrases may overlap.
        active: phrases under way, as (node, where it began), the longest first.
    """

    length: int = 0
    kept: int = 0
    active: tuple[tuple[Node, int], ...] = ()

    @property
    def total(self) -> int:
        """Tokens that earn now: of finished phrases, and of the longest one under way."""
        under_way = _bits(self.active[0][1], self.length) if self.active else 0
        return (self.kept | under_way).bit_count()


def _bits(start: int, end: int) -> int:
    return (1 << end) - (1 << start)


def begins_word(tokenizer: Any, size: int) -> list[bool]:
    """For each of `size` token ids, whether a word begins with it.

    By the mark that a tokenizer puts on the space before a word. Where no token has a mark and
    more (a tokenizer of characters), every token may begin a phrase and end a word.
    """
    tokens = tokenizer.convert_ids_to_tokens(list(range(min(size, len(tokenizer)))))
    marked = [isinstance(t, str) and len(t) > 1 and t.startswith(SPACES) for t in tokens]
    if not any(marked):
        return [True] * size
    return [*(isinstance(t, str) and t.startswith(SPACES) for t in tokens)] + [False] * (
        size - len(tokens)
    )


def closes_word(tokenizer: Any, size: int) -> list[int]:
    """Those of `size` token ids that begin with a mark behind a word, as a full stop."""
    tokens = tokenizer.convert_ids_to_tokens(list(range(min(size, len(tokenizer)))))
    return [i for i, t in enumerate(tokens) if isinstance(t, str) and t.startswith((*CLOSING,))]


class Trie:
    """A bias list, ready for the search.

    Args:
        phrases: words and phrases.
        tokenizer: of the LLM.
        word_start: for each token id, whether a word begins with it (`begins_word`).
        ends: token ids that end a word without beginning one: a mark, or a hypothesis's end.
    """

    def __init__(
        self,
        phrases: Sequence[str],
        tokenizer: Any,
        word_start: Sequence[bool],
        ends: Iterable[int],
    ):
        self.word_start, self.ends = word_start, frozenset(ends)
        self.first: Node = {}
        """Phrases as they begin a hypothesis: mostly without a space."""
        self.later: Node = {}
        """Phrases as they stand behind a word."""
        if not phrases:
            return
        carrier = tokenizer(CARRIER, add_special_tokens=False).input_ids
        behind = [f"{CARRIER} {phrase}" for phrase in phrases]
        for ids in tokenizer(behind, add_special_tokens=False).input_ids:
            if ids[: len(carrier)] == carrier:
                _add(self.later, ids[len(carrier) :])
        for ids in tokenizer(list(phrases), add_special_tokens=False).input_ids:
            _add(self.first, ids)

    def roots(self, state: TrieState) -> Node:
        """What may begin here."""
        return self.first if state.length == 0 else self.later

    def ends_word(self, token: int) -> bool:
        """Whether the word before a token is over."""
        return token in self.ends or self.word_start[token]

    def leave(self, state: TrieState, over: bool) -> TrieState:
        """The state behind a token of no phrase; `over`: the word before that token is over."""
        return TrieState(state.length + 1, self._kept(state, over))

    def step(self, state: TrieState, token: int) -> TrieState:
        """The state behind a token."""
        over = self.ends_word(token)
        starts = self.word_start[token] or state.length == 0
        active = [(node[token], start) for node, start in state.active if token in node]
        roots = self.roots(state)
        if token in roots and starts:
            active.append((roots[token], state.length))
        return TrieState(state.length + 1, self._kept(state, over), tuple(active))

    def _kept(self, state: TrieState, over: bool) -> int:
        kept = state.kept
        if over:
            for node, start in state.active:
                if END in node:
                    kept |= _bits(start, state.length)
        return kept


def _add(root: Node, ids: Sequence[int]) -> None:
    node = root
    for token in ids:
        node = node.setdefault(token, {})
    if node is not root:
        node[END] = True
