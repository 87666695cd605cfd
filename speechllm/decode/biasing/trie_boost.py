"""Trie boosting: phrases of a bias list are more likely inside the search."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from speechllm.data.dirs.bias_lists import BiasLists
from speechllm.decode.biasing.trie import END, Trie, TrieState, begins_word, closes_word
from speechllm.decode.hypothesis import Hypothesis
from speechllm.decode.scorers.scorer import Scorer
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Batch


class TrieBoost(Scorer):
    """Adds `boost` nats for every token along a phrase of the utterance's list.

    The bonus of a phrase is taken back at the token that leaves the phrase unfinished, so that
    beginnings gain nothing. Phrases begin at word starts only, and each utterance has its own tree.

    Args:
        model: its tokenizer cuts the phrases into tokens.
        lists: bias lists of the set that is decoded.
        boost: nats for each token.
    """

    name = "bias"

    def __init__(self, model: SpeechLLM, lists: BiasLists, boost: float):
        self.lists, self.weight = lists, boost
        self._tokenizer = model.tokenizer
        size = model.embedding.weight.shape[0]
        marks = closes_word(model.tokenizer, size)
        self._ends = (model.prompt.eos, *model.prompt.stops, *marks)
        self._word_start = begins_word(model.tokenizer, size)
        over = torch.tensor(self._word_start)
        over[list(self._ends)] = True
        self._over = over.to(model.device)
        self._of_set: Trie | None = None
        self._tries: list[Trie] = []
        self._own: dict[str, Trie] = {}
        self._roots: list[tuple[Tensor, Tensor]] = []
        self._states: Mapping[tuple[int, tuple[int, ...]], TrieState] = {}

    def begin(self, batch: Batch) -> None:
        now = {example.utt_id for example in batch.examples}
        self._own = {utt: trie for utt, trie in self._own.items() if utt in now}
        self._tries = [self._trie(example.utt_id) for example in batch.examples]
        self._roots = [(self._starts(t.first, True), self._starts(t.later)) for t in self._tries]
        self._states = {}

    def score(self, hypotheses: Sequence[Hypothesis]) -> list[float]:
        """Number of tokens in finished phrases, for each hypothesis."""
        found = []
        for hypothesis in hypotheses:
            trie, state = self._trie(hypothesis.utt_id), TrieState()
            for token in (*hypothesis.ids, self._ends[0]):
                state = trie.step(state, token)
            found.append(float(state.total))
        return found

    def _trie(self, utt: str) -> Trie:
        if utt in self.lists.own:
            if utt not in self._own:
                self._own[utt] = self._made(self.lists.own[utt])
            return self._own[utt]
        if self._of_set is None:  # one tree for all: it may have 100,000 words
            self._of_set = self._made(self.lists.words)
        return self._of_set

    def _made(self, phrases: Sequence[str]) -> Trie:
        return Trie(phrases, self._tokenizer, self._word_start, self._ends)

    def _starts(self, root: Mapping[int, object], anywhere: bool = False) -> Tensor:
        tokens = [t for t in root if t != END and (anywhere or self._word_start[t])]
        return torch.tensor(tokens, dtype=torch.long, device=self._over.device)

    def __call__(self, ids: Tensor, scores: Tensor, utterance_of: Sequence[int]) -> Tensor:
        states, given = {}, torch.zeros_like(scores)
        for row, (utterance, prefix) in enumerate(zip(utterance_of, ids.tolist(), strict=True)):
            trie = self._tries[utterance]
            key = (utterance, tuple(prefix))
            if key not in states:
                states[key] = self._state(trie, utterance, prefix)
            self._give(given[row], trie, states[key], self._roots[utterance][len(prefix) > 0])
        self._states = states
        return scores + self.weight * given

    def _state(self, trie: Trie, utterance: int, ids: Sequence[int]) -> TrieState:
        if not ids:
            return TrieState()
        before = self._states.get((utterance, tuple(ids[:-1])))
        if before is None:  # the prefix extends none of the last step
            before = self._state(trie, utterance, ids[:-1])
        return trie.step(before, ids[-1])

    def _give(self, row: Tensor, trie: Trie, state: TrieState, roots: Tensor) -> None:
        """Fill [V] with the bonus, in tokens, that each next token adds or takes back."""
        now = state.total
        if state.active:
            over = trie.leave(state, True).total - now
            within = trie.leave(state, False).total - now
            row.copy_(torch.where(self._over, over, within))
            row[roots] = over + 1.0
            for token in {t for node, _ in state.active for t in node if t != END}:
                row[token] = trie.step(state, token).total - now
        else:
            row[roots] = 1.0
