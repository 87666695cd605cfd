"""Mixture of components over corpora: planned by epochs, rendered to batches."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from speechllm.config import TrainConfig
from speechllm.data.dirs.forms import count_words
from speechllm.data.dirs.ids import original
from speechllm.errors import ConfigError
from speechllm.files.garbage import uncollected
from speechllm.slot.collate import Batch, collate
from speechllm.slot.coverage import by_coverage
from speechllm.slot.mixture import Component, Item, Plan, plan_epoch, resolve_shares, subset
from speechllm.slot.views import Views, needs_audio, shown_by

if TYPE_CHECKING:
    from speechllm.model.speech_llm import SpeechLLM

log = logging.getLogger(__name__)


class Mixture:
    """Components over corpora, ready to be planned and rendered.

    A controller may change `shares` and `pools` between two plans.

    Args:
        components: components of a phase; none for a phase without a step.
        views: renders utterances.
        model: model whose prompt and projector determine lengths.
        config: seed, layout and size of batches; batches of an optimiser step.

    Raises:
        ConfigError: impossible shares, or a component without utterances.
    """

    def __init__(
        self,
        components: Sequence[Component],
        views: Views,
        model: "SpeechLLM",
        config: TrainConfig,
    ):
        self.components, self.views, self.model, self.config = components, views, model, config
        self.redrawn = {i for i, c in enumerate(components) if c.redraw}
        self.shares = resolve_shares([c.share for c in components]) if components else []
        self.pools = [
            self._pool(c) if share > 0 else []
            for c, share in zip(components, self.shares, strict=True)
        ]
        for c, share, pool in self.rows():
            if share > 0 and not pool:
                raise ConfigError(
                    f"{share:.3g} of the mixture is {c.domain} {c.view}, but it has no utterances"
                )
        self.epoch_items = self._epoch_items() if components else 0

    @uncollected()
    def _pool(self, c: Component, epoch: int = 0) -> list[tuple[str, int]]:
        corpus = self.views.corpora[c.domain]
        seed = f"{self.config.seed} {epoch}" if c.redraw else self.config.seed
        shown = shown_by(c.view, corpus)
        order = self._by_coverage(c.domain) if c.pick == "coverage" else None
        ids = subset(shown, c.fraction, seed, c.complement, order)
        overhead = self.model.prompt.overhead
        return [(utt, overhead + self.views.length(c.view, c.domain, utt)) for utt in ids]

    def _by_coverage(self, domain: str) -> list[str]:
        """Utterances of a domain with audio, ordered by coverage of words that the source lacks."""
        corpus, known = self.views.corpora[domain], self.views.corpora["source"].text.values()
        spoken = {original(utt): corpus.text[utt] for utt in corpus.spoken}
        return by_coverage(spoken, count_words(known))

    def _epoch_items(self) -> int:
        """Number of items in one pass over the target domain; without one, over the made data.

        Without either, over the source.
        """
        used = [(c.domain, s, len(p)) for c, s, p in self.rows() if s > 0]
        domains = {domain for domain, _, _ in used}
        main = "target" if "target" in domains else min(domains - {"source"}, default="source")
        share = sum(s for domain, s, _ in used if domain == main)
        return max(1, round(sum(n for domain, _, n in used if domain == main) / share))

    def rows(self) -> list[tuple[Component, float, list[tuple[str, int]]]]:
        return list(zip(self.components, self.shares, self.pools, strict=True))

    def plan(self, epoch: int) -> Plan:
        """Plan an epoch's batches; logs their real proportions."""
        plan = self._plan(epoch)
        counts = plan.counts()
        total = sum(counts.values())
        realised = ", ".join(
            f"{c.domain} {c.view} {counts[i] / total:.3f}" for i, c in enumerate(self.components)
        )
        log.info(
            "epoch %d: %d items in %d batches (%s), padding %.1f %%",
            epoch,
            total,
            len(plan.batches),
            realised,
            100 * plan.padding_ratio(),
        )
        return plan

    def steps(self) -> int | None:
        """Optimiser steps of the run: as configured, or those of the configured epochs.

        None for a run that is limited by seconds.
        """
        if self.config.epochs is None:
            return self.config.steps
        whole, part = divmod(self.config.epochs, 1)
        batches = sum(len(self._plan(epoch).batches) for epoch in range(int(whole)))
        if part > 0:
            batches += part * len(self._plan(int(whole)).batches)
        return max(1, round(batches / self.config.step_batches))

    def audio_used(self, domain: str, epoch: int, batch: int) -> set[str]:
        """Utterances of a domain whose audio a run needed.

        A fixed pool counts as a whole, since all of it had to be there; a redrawn one counts what
        was drawn.

        Args:
            domain: name of the domain.
            epoch, batch: place in the plan where the run ended.
        """
        audible = {
            i
            for i, (c, share, _) in enumerate(self.rows())
            if c.domain == domain and needs_audio(c.view) and share > 0
        }
        fixed, redrawn = audible - self.redrawn, audible & self.redrawn
        found = {utt for i in fixed for utt, _ in self.pools[i]}
        for number in range(epoch + 1) if redrawn else ():
            batches = self._plan(number).batches[: batch if number == epoch else None]
            items = (item for drawn in batches for item in drawn)
            found |= {item.utt_id for item in items if item.component in redrawn}
        return found

    def batch(self, items: Sequence[Item], epoch: int) -> Batch:
        """Render and collate some items."""
        examples = []
        for item in items:
            c = self.components[item.component]
            examples.append(self.views.render(c.view, c.domain, item.utt_id, epoch))
        return collate(examples, self.model.prompt, self.model.projector.output_length)

    def _plan(self, epoch: int) -> Plan:
        pools = [
            self._pool(c, epoch) if i in self.redrawn and share > 0 else pool
            for i, (c, share, pool) in enumerate(self.rows())
        ]
        return plan_epoch(
            pools,
            self.shares,
            seed=self.config.seed,
            epoch=epoch,
            batch_positions=self.config.batch_positions,
            epoch_items=self.epoch_items,
            layout=self.config.layout,
            redrawn=self.redrawn,
        )
