"""The one engine: a mixture of views over corpora goes in, a trained model's folder comes out."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from speechllm.config import MonitorConfig, TrainConfig
from speechllm.data.collate import Batch, collate
from speechllm.data.corpus import Corpus
from speechllm.data.mixture import Component, Item, Plan, plan_epoch, resolve_shares, subset
from speechllm.data.views import NEED_AUDIO, Views
from speechllm.decode.wer import DevWer
from speechllm.environment import environment
from speechllm.files import write_json
from speechllm.layout import MODEL, RUN
from speechllm.model.bundle import save_bundle
from speechllm.model.speech_llm import SpeechLLM, parameter_table
from speechllm.train.distributed import World
from speechllm.train.loop import CHECKPOINT, Trainer
from speechllm.train.monitor import Monitor

log = logging.getLogger(__name__)


class Mixture:
    """Components over corpora, ready to be planned and rendered.

    Args:
        components: of the method.
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
        """Items that make one pass over the target domain, or over the source if alone."""
        used = [(c.domain, s, len(p)) for c, s, p in self.rows() if s > 0]
        main = "target" if any(domain == "target" for domain, _, _ in used) else "source"
        share = sum(s for domain, s, _ in used if domain == main)
        return max(1, round(sum(n for domain, _, n in used if domain == main) / share))

    def rows(self) -> list[tuple[Component, float, list[tuple[str, int]]]]:
        return list(zip(self.components, self.shares, self.pools, strict=True))

    def plan(self, epoch: int) -> Plan:
        """The epoch's batches; says what they really hold."""
        plan = plan_epoch(
            self.pools,
            self.shares,
            seed=self.config.seed,
            epoch=epoch,
            world_size=self.world_size,
            batch_positions=self.config.batch_positions,
            epoch_items=self.epoch_items,
        )
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

    def batch(self, items: Sequence[Item], epoch: int) -> Batch:
        """Render and collate some items."""
        examples = []
        for item in items:
            c = self.components[item.component]
            examples.append(self.views.render(c.view, c.domain, item.utt_id, epoch))
        return collate(examples, self.model.prompt, self.model.projector.output_length)

    def audio_hours(self, domain: str) -> float:
        """Hours of distinct audio of a domain that the mixture may draw."""
        ids = {
            utt
            for c, share, pool in self.rows()
            if c.domain == domain and c.view in NEED_AUDIO and share > 0
            for utt, _ in pool
        }
        return self.views.corpora[domain].hours(sorted(ids)) if ids else 0.0


def fit(
    model: SpeechLLM,
    mixture: Mixture,
    dev: Mapping[str, Corpus],
    train: TrainConfig,
    monitor: MonitorConfig,
    folder: Path,
    world: World,
    record: Mapping[str, Any],
    parent: Path | None = None,
) -> None:
    """Train the model on the mixture; write its bundle and run.json.

    Args:
        model: with `requires_grad` set where it is to be trained.
        mixture: what it learns from.
        dev: paired dev corpora by domain, for the monitor.
        train, monitor: their settings.
        folder: of the run.
        world: this process among all.
        record: what run.json says besides what is measured here.
        parent: bundle that the model was adapted from.
    """
    log.info("parameters:\n%s", parameter_table(model))
    model.to(world.device)
    batches = {name: _dev_batches(model, c, train, monitor) for name, c in dev.items()}
    transcripts = {utt: text for c in dev.values() for utt, text in c.text.items()}
    seconds = {utt: s for c in dev.values() for d in c.dirs for utt, s in d.utt2dur.items()}
    watcher = Monitor(
        monitor,
        {name: [b.to(world.device) for b in bs] for name, bs in batches.items()},
        DevWer(transcripts, seconds),
    )
    trainer = Trainer(model, mixture.plan, mixture.batch, train, folder, watcher, world)
    position = trainer.train()
    world.leave()
    if not world.is_first:
        return
    save_bundle(folder / MODEL, model, parent)
    write_json(
        folder / RUN,
        {
            **record,
            "steps": position.step,
            "kept_step": watcher.best_step if monitor.keep_best else position.step,
            "seen": {
                f"{c.domain}/{c.view}": position.seen.get(str(i), 0)
                for i, c in enumerate(mixture.components)
            },
            "audio_hours_target": mixture.audio_hours("target")
            if "target" in mixture.views.corpora
            else 0.0,
            "audio_hours_source": mixture.audio_hours("source"),
            "trained_parameters": sum(p.numel() for p in trainer.parameters),
            "seconds": round(position.seconds, 1),
            "mixture": [
                {**asdict(c), "share": s, "utterances": len(p)} for c, s, p in mixture.rows()
            ],
            "environment": environment(),
        },
    )
    for leftover in [folder / CHECKPOINT, *folder.glob("best.*.safetensors")]:
        leftover.unlink(missing_ok=True)


def _dev_batches(
    model: SpeechLLM, corpus: Corpus, train: TrainConfig, monitor: MonitorConfig
) -> list[Batch]:
    """A seeded part of a dev corpus, as speech, in batches of like length."""
    views = Views(model.tokenizer, {"dev": corpus})
    ids = subset(list(corpus.text), min(1.0, monitor.utterances / len(corpus.text)), train.seed)
    pool = [(i, model.prompt.overhead + views.length("audio", "dev", i)) for i in ids]
    plan = plan_epoch(
        [pool],
        [1.0],
        seed=train.seed,
        epoch=0,
        world_size=1,
        batch_positions=train.batch_positions,
        epoch_items=len(pool),
    )
    batches = [[views.render("audio", "dev", item.utt_id) for item in s[0]] for s in plan.steps]
    return [collate(b, model.prompt, model.projector.output_length) for b in batches]
