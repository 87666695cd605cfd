"""Components over corpora, planned by epochs and rendered to batches."""

import logging
from collections.abc import Sequence

from speechllm.config import TrainConfig
from speechllm.data.collate import Batch, collate
from speechllm.data.mixture import Component, Item, Plan, plan_epoch, resolve_shares, subset
from speechllm.data.views import NEED_AUDIO, Views
from speechllm.model.speech_llm import SpeechLLM

log = logging.getLogger(__name__)


class Mixture:
    """Components over corpora, ready to be planned and rendered.

    A controller may change `shares` and `pools` between two plans.

    Args:
        components: of a phase.
        views: renders utterances.
        model: whose prompt and projector decide about lengths.
        config: seed and budget of batches.
        world_size: processes that train.

    Raises:
        ConfigError: impossible shares, or a component without utterances.
    """

    def __init__(
        self,
        components: Sequence[Component],
        views: Views,
        model: SpeechLLM,
        config: TrainConfig,
        world_size: int,
    ):
        self.components, self.views, self.model, self.config = components, views, model, config
        self.world_size = world_size
        self.shares = resolve_shares([c.share for c in components])
        self.pools = [self._pool(c) for c in components]
        self.epoch_items = self._epoch_items()

    def _pool(self, c: Component) -> list[tuple[str, int]]:
        corpus = self.views.corpora[c.domain]
        ids = subset(list(corpus.text), c.fraction, self.config.seed, c.complement)
        overhead = self.model.prompt.overhead
        return [(utt, overhead + self.views.length(c.view, c.domain, utt)) for utt in ids]

    def _epoch_items(self) -> int:
        """Items that make one pass over the target domain, or else over what stands for it.

        Over the source, if nothing else is learnt from.
        """
        used = [(c.domain, s, len(p)) for c, s, p in self.rows() if s > 0]
        domains = {domain for domain, _, _ in used}
        main = "target" if "target" in domains else min(domains - {"source"}, default="source")
        share = sum(s for domain, s, _ in used if domain == main)
        return max(1, round(sum(n for domain, _, n in used if domain == main) / share))

    def rows(self) -> list[tuple[Component, float, list[tuple[str, int]]]]:
        return list(zip(self.components, self.shares, self.pools, strict=True))

    def plan(self, epoch: int) -> Plan:
        """The epoch's batches; says what they really hold."""
        plan = self._plan(epoch)
        counts = plan.counts()
        total = sum(counts.values())
        realised = ", ".join(
            f"{c.domain} {c.view} {counts[i] / total:.3f}" for i, c in enumerate(self.components)
        )
        log.info(
            "epoch %d: %d items in %d steps (%s), padding %.1f %%",
            epoch,
            total,
            len(plan.steps),
            realised,
            100 * plan.padding_ratio(),
        )
        return plan

    def steps(self) -> int | None:
        """Optimiser steps of the run: as configured, or those of so many epochs.

        None for a run that is given seconds.
        """
        if self.config.epochs is None:
            return self.config.steps
        whole, part = divmod(self.config.epochs, 1)
        batches = sum(len(self._plan(epoch).steps) for epoch in range(int(whole)))
        if part > 0:
            batches += part * len(self._plan(int(whole)).steps)
        return max(1, round(batches / self.config.accumulate))

    def batch(self, items: Sequence[Item], epoch: int) -> Batch:
        """Render and collate some items."""
        examples = []
        for item in items:
            c = self.components[item.component]
            examples.append(self.views.render(c.view, c.domain, item.utt_id, epoch))
        return collate(examples, self.model.prompt, self.model.projector.output_length)

    def _plan(self, epoch: int) -> Plan:
        return plan_epoch(
            self.pools,
            self.shares,
            seed=self.config.seed,
            epoch=epoch,
            world_size=self.world_size,
            batch_positions=self.config.batch_positions,
            epoch_items=self.epoch_items,
            layout=self.config.layout,
        )


def audio_hours(mixtures: Sequence[Mixture], domain: str) -> float:
    """Hours of distinct audio of a domain that some mixtures may draw."""
    ids = {
        utt
        for mixture in mixtures
        for c, share, pool in mixture.rows()
        if c.domain == domain and c.view in NEED_AUDIO and share > 0
        for utt, _ in pool
    }
    return mixtures[0].views.corpora[domain].hours(sorted(ids)) if ids else 0.0
