"""KL between the next tokens of base and adapted model, as a further loss (docs/kl.md)."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import torch
from torch import Tensor
from torch.nn import functional

from speechllm.adapt.method import Kl, Phase
from speechllm.errors import ConfigError
from speechllm.model.llm import without_lora
from speechllm.model.sharded import is_sharded
from speechllm.model.speech_llm import SpeechLLM, TokenLoss
from speechllm.slot.collate import Batch
from speechllm.slot.mixture import Component
from speechllm.slot.views import VIEWS
from speechllm.train.loop import Objective


class WithKl:
    """Objective: another one + weight x KL(base || adapted) at each label position.

    It follows internal-LM adaptation (Meng et al., 2110.05354), where the KL is between the
    internal LMs on text. The base is the model without its fresh LoRA and without dropout; it is
    given the very same slot. The KL is over the whole vocabulary, in nats, summed over the label
    positions of the chosen rows. It is summed and divided like the loss, so neither accumulation
    nor ranks change its weight.

    A batch in which the other objective has no label adds no KL: there is no number of labels to
    divide it by.

    Args:
        model: model that is trained; its LLM has LoRA.
        objective: objective that the KL is added to. If it is the model itself, its logits serve
            both; otherwise the KL costs a forward and a backward pass of its own.
        kl: weight and rows.
    """

    def __init__(self, model: SpeechLLM, objective: Objective, kl: Kl):
        self.model, self.objective, self.kl = model, objective, kl

    def __call__(self, batch: Batch) -> TokenLoss:
        logits: Tensor | None = None
        if self.objective is self.model:
            logits, wanted = self.model.label_logits(batch)
            score = TokenLoss.of(logits, wanted)
        else:
            score = self.objective(batch)
        divergence = torch.zeros_like(score.nll)
        chosen = _chosen(batch, self.kl.rows)
        # Where weights are sharded, all processes have a part in each other's passes.
        if score.tokens and (chosen.any() or is_sharded(self.model.llm)):
            if logits is None:
                logits, _ = self.model.label_logits(batch)
            divergence = self._divergence(batch, logits, chosen)
        nll = score.nll + self.kl.weight * divergence
        return replace(score, nll=nll, parts={"lm": score.nll, **score.parts, "kl": divergence})

    def _divergence(self, batch: Batch, logits: Tensor, chosen: Tensor) -> Tensor:
        """KL(base || adapted), summed over the chosen ones of N label positions.

        Args:
            batch: batch that the logits belong to.
            logits: [N, V] logits of the adapted model.
            chosen: [N] True where the KL counts.
        """
        training = self.model.training
        self.model.eval()
        with torch.no_grad(), without_lora(self.model.llm):
            base, _ = self.model.label_logits(batch)
        self.model.train(training)
        chosen = chosen.to(logits.device)
        adapted, base = (functional.log_softmax(x[chosen], -1) for x in (logits, base))
        return functional.kl_div(adapted, base, reduction="sum", log_target=True)


def with_kl(
    kl: Kl | None, model: SpeechLLM, objective: Objective, phases: Sequence[Phase]
) -> Objective:
    """Add the KL to an objective, if there is one.

    Args:
        kl: weight and rows; None: the objective is returned as it is.
        model: model that is trained.
        objective: objective that the KL is added to.
        phases: phases of the run, with what they train.

    Raises:
        ConfigError: a phase trains more of the LLM than LoRA, so that there is no base to go back
            to.
    """
    if kl is None:
        return objective
    patterns = {pattern for phase in phases for pattern in phase.trainable}
    names = [n for n, _ in model.named_parameters() if n.startswith("llm.") and ".lora_" not in n]
    if odd := sorted(p for p in patterns if any(fnmatchcase(n, p) for n in names)):
        raise ConfigError(
            f"kl: trainable: '{odd[0]}' trains weights of the LLM, and the base that it is to stay "
            "near is the model without LoRA",
            'set trainable: ["llm.*.lora_*"], or leave kl out',
        )
    return WithKl(model, objective, kl)


def check_kl(kl: Kl, method: str, components: Collection[Component]) -> None:
    """Raise ConfigError if a method shows none of the rows that `kl` is about.

    Args:
        kl: weight and rows.
        method: name of the method.
        components: what it shows.

    Raises:
        ConfigError: there are no such rows.
    """
    if not any(_is_chosen(kl.rows, c.view, c.domain) for c in components):
        what = "of the source" if kl.rows == "source" else f"with {kl.rows} in the slot"
        raise ConfigError(
            f"kl.rows: {method} has no rows {what}",
            "choose kl.rows: all, or leave kl out",
        )


def _chosen(batch: Batch, rows: str) -> Tensor:
    """Mask [N] of the label positions where the KL counts, row after row, with each row's end."""
    chosen = torch.tensor([_is_chosen(rows, e.view, e.domain) for e in batch.examples])
    return chosen.repeat_interleave(torch.tensor([len(e.target) + 1 for e in batch.examples]))


def _is_chosen(rows: str, view: str, domain: str) -> bool:
    if rows == "source":
        return domain == "source"
    return rows == "all" or VIEWS[view].is_speech == (rows == "speech")
