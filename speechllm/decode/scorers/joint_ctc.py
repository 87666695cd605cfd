"""Joint decoding: prefix scores of the projector's CTC are added inside the search.

An LLM that knows a domain prefers its words, spoken or not. CTC keeps it to the speech: to every
next token it adds the log-probability that the speech goes on with it, as in hybrid CTC/attention
decoding (Watanabe et al. 2017, "Hybrid CTC/Attention Architecture for End-to-End Speech
Recognition", section IV-B).
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
"""Lowest score of a candidate or an end, in nats, so that the search always has a next token."""
NEVER = -1e8
"""Logarithm of a probability of 0: finite, since differences are taken."""


class CtcState(NamedTuple):
    """CTC forward variables: log-probabilities that speech up to each position reads as a prefix.

    Attributes:
        symbol: [N, P + 1] of paths that end with the prefix's last symbol; the first column is
            before all positions.
        blank: [N, P + 1] of paths that end with a blank.
        begins: [N] log-probability that the whole speech begins with the prefix.
        last: [N] the last symbol; 0 if there is none yet.
        utterance_of: [N] the utterance: a row of `read`, the log-probabilities of a batch.
    """

    symbol: Tensor
    blank: Tensor
    begins: Tensor
    last: Tensor
    utterance_of: Tensor

    def of(self, rows: Tensor) -> "CtcState":
        return CtcState(*(part[rows] for part in self))

    @property
    def ends(self) -> Tensor:
        """[N] log-probability that the whole speech reads as the prefix and no more."""
        return torch.logaddexp(self.symbol[:, -1], self.blank[:, -1])

    def where(self, is_so: Tensor, other: "CtcState") -> "CtcState":
        """Rows of this state where `is_so` [N] holds, else those of `other`."""
        pairs = zip(self, other, strict=True)
        return CtcState(
            *(torch.where(is_so.view(-1, *[1] * (a.dim() - 1)), a, b) for a, b in pairs)
        )


class JointCtc(Scorer):
    """Scores the LLM's likeliest next tokens by CTC prefix scores, once for each prefix.

    Args:
        model: its projector has CTC (speechllm.decode.requirements).
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
        self._best = self._gains = self._totals = torch.empty(0)
        self._given: dict[tuple[int, bytes], tuple[float, float]] = {}
        """Scores of each prefix of the batch and of its end, by utterance and ids."""

    def begin(self, batch: Batch) -> None:
        model = self.model
        assert model.ctc is not None and batch.frames is not None
        self._read = torch.empty(0)  # frees the last batch's, which may be large
        with torch.inference_mode():
            speech = model.projector(batch.frames, batch.frame_lengths)
            logits = model.ctc.logits(speech, model.unit_embeddings).log_softmax(-1)
        # Positions beyond an utterance are certain blanks, which changes no score.
        beyond = torch.full((1, logits.shape[1]), NEVER, device=logits.device)
        beyond[:, 0] = 0.0
        rows = [row if len(row) else beyond for row in logits.split(model.speech_lengths(batch))]
        self._read = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=NEVER)
        for row, read in zip(rows, self._read, strict=True):
            read[len(row) :, 0] = 0.0
        self._number = {e.utt_id: number for number, e in enumerate(batch.examples)}
        self._prefixes, self._given = Prefixes(), {}

    def __call__(self, ids: Tensor, scores: Tensor, utterance_of: Sequence[int]) -> Tensor:
        step, read = self._prefixes.step(ids, utterance_of), self._read
        utterances = [utterance_of[row] for row in step.rows]
        rows = torch.tensor(step.rows, device=scores.device)
        before = torch.tensor(step.before, device=scores.device)
        given = torch.zeros(len(rows), device=scores.device)
        if ids.shape[1] == 0:
            state = nothing_read(read, torch.tensor(utterances, device=read.device))
        else:
            assert self._state is not None
            last = ids[rows, -1]
            is_last = self._best[before] == last[:, None]  # one of each row
            given = self._gains[before][is_last] + self._totals[before]
            state = self._state.of(before)
            state = read_all(state, read, self._spelled(last[:, None], state)[:, 0])
        own = scores if len(rows) == len(scores) else scores[rows]
        best = own.topk(min(self.candidates, own.shape[1]), dim=-1).indices  # [N, K]
        symbols = self._spelled(best, state)
        begins = begins_with(state, read, symbols)
        gains = _gain(begins, state.begins[:, None])
        gains = gains.masked_fill(symbols[..., 0] == 0, -torch.inf)
        end = _gain(state.ends, state.begins)
        prefixes = [prefix.tobytes() for prefix in ids[rows].cpu().numpy()]
        keys = zip(utterances, prefixes, strict=True)
        self._given |= zip(keys, zip(given.tolist(), end.tolist(), strict=True), strict=True)
        self._state, self._best, self._gains, self._totals = state, best, gains, given
        of_row = torch.tensor(step.prefix_of, device=scores.device)
        best, known = best[of_row], torch.full_like(scores, -torch.inf)
        known.scatter_(1, best, scores.gather(1, best) + self.weight * gains[of_row])
        known[:, self._ends] = scores[:, self._ends] + self.weight * end[of_row, None]
        return known

    def score(self, hypotheses: Sequence[Hypothesis]) -> list[float]:
        found = []
        for hypothesis in hypotheses:
            ids = np.array(hypothesis.ids, dtype=np.int64).tobytes()
            given, end = self._given[self._number[hypothesis.utt_id], ids]
            found.append(given if hypothesis.truncated else given + end)
        return found

    def _spelled(self, tokens: Tensor, state: CtcState) -> Tensor:
        """[N, K] tokens -> [N, K, L] CTC symbols that spell them, padded with zeros."""
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


def _gain(after: Tensor, before: Tensor) -> Tensor:
    """Log-probability in float32 of going on from a prefix; FLOOR if it is not in the speech."""
    gain = (after - before).clamp(min=FLOOR, max=0.0)
    return gain.masked_fill(before < NEVER / 2, FLOOR).float()


def nothing_read(read: Tensor, utterance_of: Tensor) -> CtcState:
    """State of the empty prefix: blanks alone.

    Args:
        read: [B, P, 1 + U] log-probabilities at each position, the blank's first.
        utterance_of: [N] the utterance of each prefix: a row of `read`.
    """
    blank = nn.functional.pad(read[utterance_of, :, 0].double().cumsum(1), (1, 0))
    begins = torch.zeros_like(blank[:, 0])
    return CtcState(
        torch.full_like(blank, NEVER), blank, begins, torch.zeros_like(utterance_of), utterance_of
    )


def read_all(state: CtcState, read: Tensor, symbols: Tensor) -> CtcState:
    """State after further symbols.

    Args:
        state: of N prefixes.
        read: [B, P, 1 + U] log-probabilities at each position, the blank's first.
        symbols: [N, L], padded with zeros.
    """
    each = torch.arange(len(symbols), device=symbols.device)
    for symbol in symbols.unbind(1):
        ways = _ways(state, read, each, symbol)
        longer = _after(state, read, each, symbol, ways)
        state = longer.where(symbol > 0, state)
    return state


def begins_with(state: CtcState, read: Tensor, symbols: Tensor) -> Tensor:
    """[N, K] `begins` after the further symbols of K candidates for each prefix.

    Candidates that go on with the same symbols share what these need, as in a tree. The last symbol
    of a candidate needs no state.

    Args:
        state: of N prefixes.
        read: [B, P, 1 + U] log-probabilities at each position, the blank's first.
        symbols: [N, K, L], padded with zeros.
    """
    n, k, _ = symbols.shape
    begins = state.begins[:, None].repeat(1, k).flatten()
    rows = torch.arange(n * k, device=symbols.device)
    node, symbols = rows // k, symbols.flatten(0, 1)  # node: row of `state`
    while symbols.shape[1] and (there := symbols[:, 0] > 0).any():
        rows, node, symbols = rows[there], node[there], symbols[there]
        pairs = node * read.shape[2] + symbols[:, 0]
        pairs, branch = pairs.unique(return_inverse=True)
        before, symbol = pairs // read.shape[2], pairs % read.shape[2]
        ways = _ways(state, read, before, symbol)
        begins[rows] = ways.begins[branch]
        longer = (symbols[:, 1:] > 0).any(1)
        rows, symbols = rows[longer], symbols[longer, 1:]
        grown, node = branch[longer].unique(return_inverse=True)
        state = _after(state, read, before[grown], symbol[grown], ways.of(grown))
    return begins.view(n, k)


class _Ways(NamedTuple):
    """Ways to one more symbol.

    Attributes:
        enters: [M, P] log-probability that the symbol may come at each position.
        said: [M, P] log-probability of the symbol there.
        begins: [M] log-probability that the whole speech begins with the longer prefix.
    """

    enters: Tensor
    said: Tensor
    begins: Tensor

    def of(self, rows: Tensor) -> "_Ways":
        return _Ways(*(part[rows] for part in self))


def _ways(state: CtcState, read: Tensor, before: Tensor, symbol: Tensor) -> _Ways:
    """Ways from prefixes `before` ([M] rows of `state`) to a symbol ([M]) after each.

    A symbol comes twice in a row only with a blank in between.
    """
    either = torch.logaddexp(state.symbol, state.blank)
    is_twice = (symbol == state.last[before])[:, None]
    enters = torch.where(is_twice, state.blank[before], either[before])[:, :-1]
    said = read[state.utterance_of[before], :, symbol].double()
    return _Ways(enters, said, (enters + said).logsumexp(1))


def _after(state: CtcState, read: Tensor, before: Tensor, symbol: Tensor, ways: _Ways) -> CtcState:
    """State of prefixes `before` with a symbol more; arguments as in `_ways`."""
    utterance_of = state.utterance_of[before]
    longer = _recurrence(ways.enters, ways.said)
    blank = _recurrence(longer[:, :-1], read[utterance_of, :, 0].double())
    return CtcState(longer, blank, ways.begins, symbol, utterance_of)


def _recurrence(enters: Tensor, stays: Tensor) -> Tensor:
    """x[p] = stays[p] + logaddexp(x[p - 1], enters[p - 1]), x[0] = NEVER: [N, P] -> [N, P + 1].

    Computed for all positions at once, by factoring out the cumulative sum of `stays`.
    """
    total = stays.cumsum(1)
    found = total + (enters - total + stays).logcumsumexp(1)
    return nn.functional.pad(found, (1, 0), value=NEVER)
