"""Constrained decoding: the search follows a regular expression, token by token.

outlines-core turns the expression into an automaton whose steps are tokens (Willard and Louf,
"Efficient guided generation for large language models", 2307.09702). For each state, the number of
tokens to an end is known too. So an answer that nears its bound is ended in time, and is still of
the form.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from speechllm.decode.form.token_bytes import token_bytes
from speechllm.decode.hypothesis import Hypothesis
from speechllm.decode.scorers.scorer import Scorer
from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.slot.collate import Batch
from speechllm.slot.prompt import Prompt
from speechllm.task import Form

NEVER = np.iinfo(np.int32).max // 2
"""Number of steps to an end from a state that leads to none."""


class TokenAutomaton:
    """Automaton of a regular expression, whose steps are the tokens of a tokenizer.

    Args:
        tokenizer: the LLM's.
        pattern: a regular expression for whole answers; a blank may stand before them, since
            some tokenizers cannot write a word without one.
        sample: an answer of the form, to check that the tokens are understood.
        eos: the token that ends an answer.

    Raises:
        SpeechLLMError: outlines-core is not installed.
        ConfigError: the tokenizer is of an unknown kind, or cannot write any answer.
    """

    def __init__(self, tokenizer: Any, pattern: str, sample: str, eos: int):
        try:
            from outlines_core import Index, Vocabulary
        except ImportError as error:
            raise SpeechLLMError(
                "constrained decoding needs the package outlines-core",
                "pip install 'speechllm[constrained]', or decode without `constrained`",
            ) from error
        tokens: dict[bytes, list[int]] = {}
        for number, content in token_bytes(tokenizer, sample).items():
            if number != eos:
                tokens.setdefault(content, []).append(number)
        try:
            index = Index(f" ?(?:{pattern})", Vocabulary(eos, tokens))
        except ValueError as error:
            message = f"{tokenizer.name_or_path} has no tokens for answers of this form: {error}"
            raise ConfigError(message, "decode without `constrained`") from error
        found = index.get_transitions()
        rows = {state: row for row, state in enumerate(found)}
        for following in list(found.values()):
            for state in following.values():
                rows.setdefault(state, len(rows))
        self.start = rows[index.get_initial_state()]
        self.final = np.zeros(len(rows), bool)
        self.final[[rows[state] for state in index.get_final_states()]] = True
        nothing = np.empty(0, np.int64)
        self.tokens: list[NDArray[np.int64]] = [nothing] * len(rows)
        self.following: list[NDArray[np.int64]] = [nothing] * len(rows)
        for state, steps in found.items():
            steps = sorted((token, rows[to]) for token, to in steps.items() if token != eos)
            if steps:
                self.tokens[rows[state]], self.following[rows[state]] = np.array(steps).T
        self.steps_left = self._steps_left()

    def _steps_left(self) -> NDArray[np.int64]:
        """[states] fewest tokens to an end, not counting `eos`."""
        left = np.where(self.final, 0, NEVER)
        moving = [state for state, tokens in enumerate(self.tokens) if len(tokens)]
        sizes = [len(self.following[state]) for state in moving]
        offsets = np.cumsum([0, *sizes[:-1]])
        following = np.concatenate([self.following[state] for state in moving])
        while True:
            shorter = left.copy()
            nearest = np.minimum.reduceat(left[following], offsets) + 1
            shorter[moving] = np.minimum(left[moving], nearest)
            if (shorter == left).all():
                return left
            left = shorter

    def step(self, state: int | None, token: int) -> int | None:
        """State after one more token; None if the token cannot follow."""
        if state is None:
            return None
        place = np.searchsorted(self.tokens[state], token)
        if place == len(self.tokens[state]) or self.tokens[state][place] != token:
            return None
        return int(self.following[state][place])

    def allowed(self, state: int, left: int) -> NDArray[np.int64]:
        """Tokens that may follow, if an end can be reached within `left` tokens, this included."""
        in_time = self.steps_left[self.following[state]] < left
        return self.tokens[state][in_time]


class Constraint(Scorer):
    """Scorer that forbids all answers but those of the form.

    A state is looked up by its ids, so no state has to be reordered with the beam. A row whose ids
    already break the form has no probability left, and is not changed.

    Args:
        automaton: the form.
        ends: tokens that end an answer.
    """

    name = "constraint"
    weight = 0.0

    def __init__(self, automaton: TokenAutomaton, ends: Sequence[int]):
        self.automaton, self.ends = automaton, list(ends)
        self._states: dict[tuple[int, ...], int | None] = {}

    def begin(self, batch: Batch) -> None:
        """Prepare for a new batch.

        Raises:
            ConfigError: the bound of an utterance is below the shortest answer.
        """
        shortest = int(self.automaton.steps_left[self.automaton.start])
        if min(self.bounds) < shortest:
            raise ConfigError(
                f"an utterance may have {min(self.bounds)} tokens, and the shortest answer "
                f"has {shortest}",
                f"set min_tokens: {shortest}, or better three times that, in the decode config",
            )
        self._states = {(): self.automaton.start}

    def score(self, hypotheses: Sequence[Hypothesis]) -> list[float]:
        """Zeros: it forbids tokens, and prefers none of those allowed."""
        return [0.0] * len(hypotheses)

    def __call__(self, ids: Tensor, scores: Tensor, utterance_of: Sequence[int]) -> Tensor:
        states: dict[tuple[int, ...], int | None] = {}
        forbidden = torch.zeros_like(scores, dtype=torch.bool)
        for row, prefix in enumerate(map(tuple, ids.tolist())):
            if prefix not in states:
                before = self._states.get(prefix[:-1]) if prefix else None
                after = self.automaton.step(before, prefix[-1]) if prefix else self._states[()]
                states[prefix] = after
            state = states[prefix]
            left = self.bounds[utterance_of[row]] - len(prefix)
            if state is None or left <= 0:
                continue
            forbidden[row] = True
            allowed = self.automaton.allowed(state, left)
            forbidden[row, torch.as_tensor(allowed, device=scores.device)] = False
            if self.automaton.final[state]:
                forbidden[row, self.ends] = False
        self._states = states
        return scores.masked_fill(forbidden, -torch.inf)


def constraint_of(form: Form, tokenizer: Any, prompt: Prompt) -> Constraint:
    """Scorer that keeps hypotheses to the form of a task's answers.

    Args:
        form: of the answers.
        tokenizer: the LLM's.
        prompt: gives the tokens that end an answer.

    Raises:
        SpeechLLMError: outlines-core is not installed.
        ConfigError: the tokenizer cannot write such answers.
    """
    automaton = TokenAutomaton(tokenizer, form.pattern, form.sample, prompt.eos)
    return Constraint(automaton, [prompt.eos, *prompt.stops])
