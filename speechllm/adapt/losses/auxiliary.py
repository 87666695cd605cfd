"""Auxiliary losses between speech and text inside the LLM, beside the LM loss on target text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from speechllm.adapt.losses.losses import coral, info_nce, mmd
from speechllm.adapt.losses.slot_states import slot_states
from speechllm.model.speech_llm import SpeechLLM, TokenLoss
from speechllm.slot.collate import Batch, Example, collate

States = Sequence[Tensor]
"""Hidden states [positions of the slot, E] of each utterance."""


@dataclass(frozen=True)
class Auxiliary:
    """A loss that compares source speech with text.

    Attributes:
        weight: weight of the loss; the LM loss per token has weight 1.
        layer: LLM layer whose states are compared; 0 is the LLM's input.
        against: text to compare with: the speech's own transcripts in the same order, or target
            text.
        loss: function of the states of speech and text, at least two utterances each.
    """

    weight: float
    layer: int
    against: Literal["transcripts", "target"]
    loss: Callable[[States, States], Tensor]


class WithAuxiliaries:
    """Objective: the LM loss, and auxiliary losses between source speech and text.

    Rows with speech are source pairs, the other rows are target text. For the comparison, both
    speech and text fill the slot. A transcript in its usual place follows its speech, so its
    states would depend on that speech.

    An auxiliary loss is a mean over its batch, multiplied by the batch's number of label tokens.
    So, after the loop's division, a step minimises the LM loss per token + weight x the
    token-weighted mean of its batches' auxiliary losses. More batches or ranks do not change its
    weight. The comparison is always within one batch of one rank.

    Args:
        model: model that is trained.
        auxiliaries: losses by the name under which they are logged.
        lm_on_pairs: whether to learn to transcribe the source pairs too, as the base model did.
    """

    def __init__(
        self, model: SpeechLLM, auxiliaries: Mapping[str, Auxiliary], lm_on_pairs: bool = False
    ):
        self.model, self.auxiliaries, self.lm_on_pairs = model, auxiliaries, lm_on_pairs

    def __call__(self, batch: Batch) -> TokenLoss:
        pairs = [e for e in batch.examples if e.has_speech]
        text = [e for e in batch.examples if not e.has_speech]
        score = self.model(batch) if self.lm_on_pairs else self._score(text)
        zero = torch.zeros_like(score.nll)
        losses = self._losses(pairs, text) if score.tokens else {}
        parts = {name: score.tokens * losses.get(name, zero) for name in self.auxiliaries}
        nll = score.nll + sum(a.weight * parts[name] for name, a in self.auxiliaries.items())
        return replace(score, nll=nll, parts={"lm": score.nll, **parts})

    def _score(self, examples: Sequence[Example]) -> TokenLoss:
        if not examples:
            zero = torch.zeros((), device=self.model.device)
            return TokenLoss(zero, 0, zero)
        batch = collate(examples, self.model.prompt, self.model.projector.output_length)
        return self.model(batch.to(self.model.device))

    def _losses(self, pairs: Sequence[Example], text: Sequence[Example]) -> dict[str, Tensor]:
        """Auxiliary losses by name, without those that have fewer than two utterances on a side."""
        length = self.model.projector.output_length
        # Two pairs with one transcript would each be a wrong answer for the other.
        distinct = {
            tuple(e.transcript): e for e in pairs if len(e.transcript) and length(len(e.slot))
        }
        speech = list(distinct.values())
        texts = {
            "transcripts": [_in_slot(e) for e in speech],
            "target": [_in_slot(e) for e in text if len(e.transcript)],
        }
        wanted = {a.against for a in self.auxiliaries.values()}
        layers = {a.layer for a in self.auxiliaries.values()}
        # In the order of `texts`, not of a set: dropout must draw in the same order every time.
        read = {
            against: slot_states(self.model, examples, layers)
            for against, examples in texts.items()
            if against in wanted and min(len(speech), len(examples)) > 1
        }
        if not read:
            return {}
        heard = slot_states(self.model, speech, layers)
        with torch.autocast(self.model.device.type, enabled=False):  # no covariances in bfloat16
            return {
                name: a.loss(heard[a.layer], read[a.against][a.layer])
                for name, a in self.auxiliaries.items()
                if a.against in read
            }


def _in_slot(example: Example) -> Example:
    """Example whose slot holds the transcript."""
    return Example(example.utt_id, "clean_text", example.transcript)


def contrast(weight: float, layer: int, temperature: Callable[[], Tensor]) -> Auxiliary:
    """InfoNCE of speech against its transcript; an utterance is the mean over its positions.

    Args:
        weight, layer: as in `Auxiliary`.
        temperature: gives the current temperature.
    """

    def loss(speech: States, transcripts: States) -> Tensor:
        return info_nce(_means(speech), _means(transcripts), temperature())

    return Auxiliary(weight, layer, "transcripts", loss)


def distance(
    weight: float, layer: int, kind: Literal["coral", "mmd"], bandwidth: float | None = None
) -> Auxiliary:
    """Distance between source speech and target text, in statistics over all positions.

    Args:
        weight, layer: as in `Auxiliary`.
        kind: which distance.
        bandwidth: bandwidth of mmd's kernel; None: the median distance.
    """

    def loss(speech: States, target: States) -> Tensor:
        x, y = torch.cat(list(speech)).float(), torch.cat(list(target)).float()
        return coral(x, y) if kind == "coral" else mmd(x, y, bandwidth)

    return Auxiliary(weight, layer, "target", loss)


def _means(states: States) -> Tensor:
    return torch.stack([state.float().mean(0) for state in states])
