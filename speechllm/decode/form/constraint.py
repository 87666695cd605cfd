"""Answers of a given form: a regular expression over the tokens inside the search.

outlines-core turns the expression into an automaton whose steps are tokens (Willard and Louf,
"Efficient guided generation for large language models", 2307.09702). Beside it stands how many
tokens each state is from an end, so that an answer that nears its bound is brought to an end in
time: whatever is cut short is still of the form.
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
"""Steps to an end from where there is none."""


class TokenAutomaton:
    """Which tokens may follow which answers.

    Args:
        tokenizer: the LLM's.
        pattern: a regular expression for whole answers; a blank may stand before them, since
            some tokenizers cannot write a word without.
        sample: an answer of the form, to see that the tokens are understood.
        eos: the token that ends an answer.

    Raises:
        SpeechLLMError: outlines-core is not installed.
        ConfigError: a tokenizer of an unknown kind, or one that cannot write any answer.
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
        """[states] fewest tokens to an end, without the one that ends the answer."""
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
        """The state after one more token; None where it cannot follow."""
        if state is None:
            return None
        place = np.searchsorted(self.tokens[state], token)
        if place == len(self.tokens[state]) or self.tokens[state][place] != token:
            return None
        return int(self.following[state][place])

    def allowed(self, state: int, left: int) -> NDArray[np.int64]:
        """Tokens that may follow if `left` tokens may still come, this one included."""
        in_time = self.steps_left[self.following[state]] < left
        return self.tokens[state][in_time]


class Constraint(Scorer):
    """Lets the search write only answers of the form.

    Equal ids have equal states, so that nothing must follow when the beam is reordered. A beam
    whose ids are of no form has no probability left and is not touched any more.

    Args:
        automaton: the form.
        ends: tokens after which an answer is over.
    """

    name = "constraint"
    weight = 0.0

    def __init__(self, automaton: TokenAutomaton, ends: Sequence[int]):
        self.automaton, self.ends = automaton, list(ends)
        self._states: dict[tuple[int, ...], int | None] = {}

    def begin(self, batch: Batch) -> None:
        """Take note of a new batch.

        Raises:
            ConfigError: no answer is as short as an utterance's bound.
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
        """Nothing: it forbids, and prefers none of what it lets pass."""
        return [0.0] * len(hypotheses)

    def __call__(self, ids: Tensor, scores: Tensor, heard: Sequence[int]) -> Tensor:
        states: dict[tuple[int, ...], int | None] = {}
        forbidden = torch.zeros_like(scores, dtype=torch.bool)
        for row, prefix in enumerate(map(tuple, ids.tolist())):
            if prefix not in states:
                before = self._states.get(prefix[:-1]) if prefix else None
                after = self.automaton.step(before, prefix[-1]) if prefix else self._states[()]
                states[prefix] = after
            state = states[prefix]
            left = self.bounds[heard[row]] - len(prefix)
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
    """What keeps hypotheses to the form of a task's answers.

    Args:
        form: of the answers.
        tokenizer: the LLM's.
        prompt: whose ends stand after an answer.

    Raises:
        SpeechLLMError: outlines-core is not installed.
        ConfigError: the tokenizer cannot write such answers.
    """
    automaton = TokenAutomaton(tokenizer, form.pattern, form.sample, prompt.eos)
    return Constraint(automaton, [prompt.eos, *prompt.stops])
