"""Prefix tree of phrases over token ids, and the bonus of a hypothesis so far.

Every token along a phrase earns 1 while the phrase is under way. The bonus is kept when the phrase
ends where a word ends, and taken back when the phrase is left unfinished, as in the context graphs
of WeNet and icefall. No tensors in here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from speechllm.data.dirs.forms import CLOSING

CARRIER = "a"
"""Word put before a phrase, to see how the phrase is tokenised inside a sentence."""
SPACES = ("\u2581", "\u0120", " ")  # marks of a word's beginning: SentencePiece, byte-level BPE
END = -1
Node = dict[int, Any]
"""Node of the tree: child nodes by token id; the key `END` if a phrase ends there."""


@dataclass(frozen=True)
class TrieState:
    """Phrases that a hypothesis has finished and begun.

    Attributes:
        length: number of its tokens.
        kept: bit p is set if the token at p is part of a finished phrase; so no token earns
            twice, though phrases may overlap.
        active: phrases under way, as (node, place of the first token), the longest first.
    """

    length: int = 0
    kept: int = 0
    active: tuple[tuple[Node, int], ...] = ()

    @property
    def total(self) -> int:
        """Number of tokens that earn now: of finished phrases, and of the longest under way."""
        under_way = _bits(self.active[0][1], self.length) if self.active else 0
        return (self.kept | under_way).bit_count()


def _bits(start: int, end: int) -> int:
    return (1 << end) - (1 << start)


def begins_word(tokenizer: Any, size: int) -> list[bool]:
    """Whether a word begins with a token, for each of `size` ids.

    Told by the mark that a tokenizer puts on the space before a word. If no token is longer than
    such a mark (a tokenizer of characters), every token may begin a phrase and end a word.
    """
    tokens = tokenizer.convert_ids_to_tokens(list(range(min(size, len(tokenizer)))))
    marked = [isinstance(t, str) and len(t) > 1 and t.startswith(SPACES) for t in tokens]
    if not any(marked):
        return [True] * size
    return [*(isinstance(t, str) and t.startswith(SPACES) for t in tokens)] + [False] * (
        size - len(tokens)
    )


def closes_word(tokenizer: Any, size: int) -> list[int]:
    """Token ids below `size` that begin with closing punctuation, such as a full stop."""
    tokens = tokenizer.convert_ids_to_tokens(list(range(min(size, len(tokenizer)))))
    return [i for i, t in enumerate(tokens) if isinstance(t, str) and t.startswith((*CLOSING,))]


class Trie:
    """Prefix tree of a bias list.

    Args:
        phrases: words and phrases.
        tokenizer: of the LLM.
        word_start: for each token id, whether a word begins with it (`begins_word`).
        ends: token ids that end a word without beginning one: closing punctuation, or the end of a
            hypothesis.
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
        """Phrases tokenised as at the beginning of a hypothesis: mostly without a space."""
        self.later: Node = {}
        """Phrases tokenised as after another word."""
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
        """Root of the phrases that may begin at this state."""
        return self.first if state.length == 0 else self.later

    def ends_word(self, token: int) -> bool:
        """Whether a token ends the word before it."""
        return token in self.ends or self.word_start[token]

    def leave(self, state: TrieState, over: bool) -> TrieState:
        """State after a token of no phrase; `over`: whether that token ends the word before it."""
        return TrieState(state.length + 1, self._kept(state, over))

    def step(self, state: TrieState, token: int) -> TrieState:
        """State after one more token."""
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
