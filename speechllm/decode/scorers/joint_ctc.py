"""The projector's CTC inside the search: what the LLM writes has to be what was heard.

An LLM that knows a domain likes its words, spoken or not. Here every next token is also weighed by
the prefix score of CTC: the log-probability that what was heard goes on so, as in hybrid
CTC/attention decoding (Watanabe et al. 2017, "Hybrid CTC/Attention Architecture for End-to-End
Speech Recognition", section IV-B).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from speechllm.decode.config import JointCtcConfig
from speechllm.decode.hypothesis import Hypothesis
from speechllm.decode.scorers.scorer import Prefixes, Scorer
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Batch

FLOOR = -100.0
"""Least that a candidate or an end is given, in nats, so that a search never stands still."""
NEVER = -1e8
"""A log-probability of 0: finite, as differences are taken."""


class CtcState(NamedTuple):
    """How the speech up to each position can have been read as a prefix.

    Attributes:
        symbol: [N, P + 1] log-probability with the prefix's last symbol at the end; the first
            column is before all positions.
        blank: [N, P + 1] the same with a blank at the end.
        begins: [N] log-probability that the whole speech is read as something that begins so.
        last: [N] the last symbol; 0 where there is none yet.
        heard: [N] the utterance, a row of what was read.
    """

    symbol: Tensor
    blank: Tensor
    begins: Tensor
    last: Tensor
    heard: Tensor

    def of(self, rows: Tensor) -> "CtcState":
        return CtcState(*(part[rows] for part in self))

    @property
    def ends(self) -> Tensor:
        """[N] log-probability that the whole speech is read as just the prefix."""
        return torch.logaddexp(self.symbol[:, -1], self.blank[:, -1])

    def where(self, is_so: Tensor, other: "CtcState") -> "CtcState":
        """Rows of this state where `is_so` [N], else those of another."""
        pairs = zip(self, other, strict=True)
        return CtcState(
            *(torch.where(is_so.view(-1, *[1] * (a.dim() - 1)), a, b) for a, b in pairs)
        )


class JointCtc(Scorer):
    """Scores the LLM's likeliest next tokens by CTC prefix scores, once for each prefix.

    Args:
        model: whose projector has CTC (speechllm.decode.suits).
        config: weight and number of candidates.
    """

    name = "ctc"

    def __init__(self, model: SpeechLLM, config: JointCtcConfig):
        self.model, self.weight, self.candidates = model, config.weight, config.candidates
        self._ends = [model.prompt.eos, *model.prompt.stops]
        self._column = {unit: column for column, unit in enumerate(model.units.tolist(), 1)}
        self._symbols: dict[tuple[int, bool], list[int]] = {}
        self._prefixes = Prefixes()
        self._number: dict[str, int] = {}
        self._read = torch.empty(0)
        self._state: CtcState | None = None
        self._known = self._totals = torch.empty(0)
        self._given: dict[tuple[int, bytes], tuple[float, float]] = {}
        """What each prefix of the batch was given, and what its end was, by utterance and ids."""

    def begin(self, batch: Batch) -> None:
        model = self.model
        assert model.ctc is not None and batch.frames is not None
        self._read = torch.empty(0)  # the last batch's, which may be large
        with torch.inference_mode():
            speech = model.projector(batch.frames, batch.frame_lengths)
            logits = model.ctc.logits(speech, model.unit_embeddings).log_softmax(-1)
        # Positions beyond an utterance are blanks for certain, which changes nothing.
        beyond = torch.full((1, logits.shape[1]), NEVER, device=logits.device)
        beyond[:, 0] = 0.0
        rows = [row if len(row) else beyond for row in logits.split(model.speech_lengths(batch))]
        self._read = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=NEVER)
        for row, read in zip(rows, self._read, strict=True):
            read[len(row) :, 0] = 0.0
        self._number = {e.utt_id: number for number, e in enumerate(batch.examples)}
        self._prefixes, self._given = Prefixes(), {}

    def __call__(self, ids: Tensor, scores: Tensor, heard: Sequence[int]) -> Tensor:
        step, read = self._prefixes.step(ids, heard), self._read
        utterances = [heard[row] for row in step.rows]
        rows = torch.tensor(step.rows, device=scores.device)
        before = torch.tensor(step.before, device=scores.device)
        given = torch.zeros(len(rows), device=scores.device)
        if ids.shape[1] == 0:
            state = nothing_read(read, torch.tensor(utterances, device=read.device))
        else:
            assert self._state is not None
            last = ids[rows, -1]
            given = self._known[before, last] + self._totals[before]
            state = self._state.of(before)
            state = read_all(state, read, self._spelled(last[:, None], state)[:, 0])
        best = scores[rows].topk(min(self.candidates, scores.shape[1]), dim=-1).indices  # [N, K]
        n, k = best.shape
        one = torch.arange(n, device=best.device).repeat_interleave(k)
        symbols = self._spelled(best, state).flatten(0, 1)
        begins = begins_with(state.of(one), read, symbols)
        gain = _gain(begins, state.of(one)).masked_fill(symbols[:, 0] == 0, -torch.inf)
        known = torch.full((n, scores.shape[1]), -torch.inf, device=scores.device)
        known.scatter_(1, best, gain.view(n, k))
        end = _gain(state.ends, state)
        known[:, self._ends] = end[:, None]
        prefixes = [prefix.tobytes() for prefix in ids[rows].cpu().numpy()]
        keys = zip(utterances, prefixes, strict=True)
        self._given |= zip(keys, zip(given.tolist(), end.tolist(), strict=True), strict=True)
        self._state, self._known, self._totals = state, known, given
        return scores + self.weight * known[step.prefix_of]

    def score(self, hypotheses: Sequence[Hypothesis]) -> list[float]:
        found = []
        for hypothesis in hypotheses:
            ids = np.array(hypothesis.ids, dtype=np.int64).tobytes()
            given, end = self._given[self._number[hypothesis.utt_id], ids]
            found.append(given if hypothesis.truncated else given + end)
        return found

    def _spelled(self, tokens: Tensor, state: CtcState) -> Tensor:
        """[N, K] tokens -> [N, K, L] symbols that they are read as, with zeros behind them."""
        firsts = (state.last == 0).tolist()
        rows = [
            [self._of(token, first) for token in row]
            for row, first in zip(tokens.tolist(), firsts, strict=True)
        ]
        most = max(1, max((len(symbols) for row in rows for symbols in row), default=0))
        padded = [[s + [0] * (most - len(s)) for s in row] for row in rows]
        return torch.tensor(padded, device=self._read.device)

    def _of(self, token: int, is_first: bool) -> list[int]:
        key = (token, is_first)
        if key not in self._symbols:
            spell = self.model.spell
            ids = [token] if spell is None else spell.of_token(token, is_first)
            self._symbols[key] = [self._column[i] for i in ids if i in self._column]
        return self._symbols[key]


def _gain(after: Tensor, state: CtcState) -> Tensor:
    """[N] in float32: what prefixes are given for going on; the least if none is in the speech."""
    gain = (after - state.begins).clamp(min=FLOOR, max=0.0)
    return gain.masked_fill(state.begins < NEVER / 2, FLOOR).float()


def nothing_read(read: Tensor, heard: Tensor) -> CtcState:
    """The state of no symbol: blanks alone.

    Args:
        read: [B, P, 1 + U] log-probabilities of the positions, the blank's first.
        heard: [N] rows of it.
    """
    blank = nn.functional.pad(read[heard, :, 0].double().cumsum(1), (1, 0))
    begins = torch.zeros_like(blank[:, 0])
    return CtcState(torch.full_like(blank, NEVER), blank, begins, torch.zeros_like(heard), heard)


def read_all(state: CtcState, read: Tensor, symbols: Tensor) -> CtcState:
    """The state after further symbols: [N, L], zeros are none."""
    for symbol in symbols.unbind(1):
        ways, said = _ways(state, read, symbol)
        longer = _recurrence(ways, said)
        blank = _recurrence(longer[:, :-1], read[state.heard, :, 0].double())
        after = CtcState(longer, blank, (ways + said).logsumexp(1), symbol, state.heard)
        state = after.where(symbol > 0, state)
    return state


def begins_with(state: CtcState, read: Tensor, symbols: Tensor) -> Tensor:
    """[N] `begins` after further symbols [N, L]; the last of them needs no state of its own."""
    begins = state.begins.clone()
    rows = torch.arange(len(symbols), device=symbols.device)
    while symbols.shape[1] and (there := symbols[:, 0] > 0).any():
        rows, symbols, state = rows[there], symbols[there], state.of(there)
        ways, said = _ways(state, read, symbols[:, 0])
        begins[rows] = (ways + said).logsumexp(1)
        longer = (symbols[:, 1:] > 0).any(1)
        rows, symbols, state = rows[longer], symbols[longer], state.of(longer)
        state, symbols = read_all(state, read, symbols[:, :1]), symbols[:, 1:]
    return begins


def _ways(state: CtcState, read: Tensor, symbol: Tensor) -> tuple[Tensor, Tensor]:
    """How likely the symbol can come at each position [N, P], and how likely it is there [N, P].

    A symbol comes twice only with a blank in between.
    """
    ways = torch.logaddexp(state.symbol, state.blank)
    ways = torch.where((symbol == state.last)[:, None], state.blank, ways)[:, :-1]
    return ways, read[state.heard, :, symbol].double()


def _recurrence(enters: Tensor, stays: Tensor) -> Tensor:
    """x[p] = stays[p] + logaddexp(x[p - 1], enters[p - 1]), x[0] = NEVER: [N, P] -> [N, P + 1].

    All at once, by taking the sum of `stays` up to each position out of it.
    """
    total = stays.cumsum(1)
    found = total + (enters - total + stays).logcumsumexp(1)
    return nn.functional.pad(found, (1, 0), value=NEVER)
