"""Training engine of the base and of all methods: mixtures of views in, a model's folder out."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from speechllm.adapt.method import Phase
from speechllm.config import TrainConfig
from speechllm.decode.monitor_decode import DevError
from speechllm.decode.requirements import check_joint_ctc
from speechllm.environment import environment
from speechllm.files.layout import MODEL, PHASE, RUN, TENSORS
from speechllm.files.own import made_again, read_mapping, read_tensors
from speechllm.files.whole import write_json
from speechllm.model.bundle import restore_tensors, save_bundle, save_trained
from speechllm.model.bundle_record import SHA256
from speechllm.model.compute.precision import resolve
from speechllm.model.llm import checkpoint_gradients
from speechllm.model.sharded import shard
from speechllm.model.speech_llm import SpeechLLM, parameter_table, set_trainable
from speechllm.slot.collate import Batch, collate
from speechllm.slot.corpus import Corpus
from speechllm.slot.mixing import Mixture
from speechllm.slot.mixture import plan_epoch, subset
from speechllm.slot.views import Views, shown_by
from speechllm.task import Labels
from speechllm.train.checkpoint import batches_of_a_step
from speechllm.train.distributed import World
from speechllm.train.loop import CHECKPOINT, Controller, Objective, Trainer
from speechllm.train.monitor import Monitor

log = logging.getLogger(__name__)


def fit(
    model: SpeechLLM,
    phases: Sequence[Phase],
    views: Views,
    dev: Mapping[str, Corpus],
    folder: Path,
    world: World,
    record: Mapping[str, Any],
    parent: Path | None = None,
    objective: Objective | None = None,
    controller_of: Callable[[Mixture], Controller | None] = lambda mixture: None,
) -> None:
    """Train the model phase by phase; write its bundle and run.json.

    A killed run goes on: finished phases are read back, the one under way resumes.

    Args:
        model: model with all modules that the phases train.
        phases: at least one; their names differ.
        views: renders the corpora that the phases' components draw from.
        dev: dev corpora by domain, for the monitor.
        folder: folder of the run.
        world: this process among all.
        record: further entries of run.json.
        parent: bundle that the model was adapted from.
        objective: loss to minimise; None: the model's own.
        controller_of: makes the controller of a mixture; None where it has none.
    """
    is_trained = parent is not None or model.config.speech_llm is not None
    phases = _shared_out(phases, folder, world.size)
    shards = world.size > 1 and any(phase.train.shard for phase in phases)
    if not shards:
        model.to(world.device)
    mixtures, watchers = [], []  # built before any training, so that a wrong share fails at once
    for phase in phases:
        set_trainable(model, phase.trainable)
        watchers.append(_monitor(model, phase, dev, world, views, is_trained))
        is_trained |= phase.errors is None  # a warm start does not teach the LLM to end its answers
        mixtures.append(Mixture(phase.components, views, model, phase.train))
    if shards:
        shard(model, world.device)
    reports = [
        _train_phase(
            model, phase, mixture, watcher, folder / phase.name, world, objective, controller_of
        )
        for phase, mixture, watcher in zip(phases, mixtures, watchers, strict=True)
    ]
    set_trainable(model, tuple(dict.fromkeys(p for phase in phases for p in phase.trainable)))
    save_bundle(folder / MODEL, model, parent, _labels(model, views))
    world.leave()
    if not world.is_first:
        return
    seen: Counter[str] = Counter()
    heard: dict[str, set[str]] = {domain: set() for domain in views.corpora}
    for report, mixture in zip(reports, mixtures, strict=True):
        seen.update(report["seen"])
        for domain in heard:
            heard[domain] |= mixture.audio_used(domain, *report["ended"])
    precisions = dict.fromkeys(resolve(p.train.precision, world.device) for p in phases)
    write_json(
        folder / RUN,
        {
            **record,
            "steps": sum(report["steps"] for report in reports),
            "kept_step": reports[-1]["kept_step"],
            "seen": dict(seen),
            **{f"audio_hours_{d}": views.corpora[d].hours(sorted(u)) for d, u in heard.items()},
            "trained_parameters": max(report["trained_parameters"] for report in reports),
            "seconds": round(sum(report["seconds"] for report in reports), 1),
            "processes": world.size,
            "phases": reports,
            "environment": {**environment(), "precision": ", ".join(precisions)},
        },
    )


def _shared_out(phases: Sequence[Phase], folder: Path, processes: int) -> list[Phase]:
    """Phases with the batches of a step that the run began with, dealt out to `processes`."""
    shared, at_first = [], processes
    for phase in phases:
        train = phase.train
        begun = _batches_begun_with(folder / phase.name, phase)
        if begun and not train.global_batches:
            at_first = begun // train.accumulate
        batches = begun or train.global_batches or train.accumulate * at_first
        shared.append(replace(phase, train=train.among(processes, batches)))
    return shared


def _batches_begun_with(folder: Path, phase: Phase) -> int | None:
    """Batches of a step of a phase that is finished or under way; None if it has not begun."""
    if phase.name and (folder / PHASE).is_file():
        report = read_mapping(folder / PHASE, made_again(folder))
        return report.get("step_positions", 0) // phase.train.batch_positions or None
    return batches_of_a_step(folder / CHECKPOINT)


def _train_phase(
    model: SpeechLLM,
    phase: Phase,
    mixture: Mixture,
    watcher: Monitor | None,
    folder: Path,
    world: World,
    objective: Objective | None,
    controller_of: Callable[[Mixture], Controller | None],
) -> dict[str, Any]:
    """Train one phase, unless it is finished; return its report."""
    set_trainable(model, phase.trainable)
    if phase.name and (folder / PHASE).is_file():
        report = read_mapping(folder / PHASE, made_again(folder))
        path, remedy = folder / TENSORS, made_again(folder)
        restore_tensors(model, read_tensors(path, remedy, report.pop(SHA256, None)), path)
        return report
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint_gradients(model.llm, phase.train.gradient_checkpointing)
    log.info("%s: parameters\n%s", phase.name or "training", parameter_table(model))
    log.info(
        "a step: %d batches, by %d processes, x %d positions = at most %d positions",
        *(phase.train.step_batches, world.size, phase.train.batch_positions),
        phase.train.step_positions,
    )
    trainer = Trainer(
        model,
        mixture.plan,
        mixture.batch,
        phase.train.model_copy(update={"steps": mixture.steps(), "epochs": None}),
        folder,
        watcher,
        world,
        phase.score or objective,
        None if phase.score else controller_of(mixture),  # controllers follow the LLM's losses
    )
    position = trainer.train()
    report = {
        "name": phase.name,
        "steps": position.step,
        "ended": [position.epoch, position.batch],
        "kept_step": watcher.best_step if watcher and watcher.config.keep_best else position.step,
        "seen": {
            f"{c.domain}/{c.view}": position.seen.get(str(i), 0)
            for i, c in enumerate(mixture.components)
        },
        "trained_parameters": sum(p.numel() for p in trainer.parameters),
        "seconds": position.seconds,
        "step_positions": phase.train.step_positions,
        "mixture": [{**asdict(c), "share": s, "utterances": len(p)} for c, s, p in mixture.rows()],
    }
    sha256 = save_trained(folder / TENSORS, model) if phase.name else None
    if world.is_first:
        if phase.name:
            write_json(folder / PHASE, {**report, SHA256: sha256})
        for leftover in [folder / CHECKPOINT, *folder.glob("best.*.safetensors")]:
            leftover.unlink(missing_ok=True)
    return report


def _monitor(
    model: SpeechLLM,
    phase: Phase,
    dev: Mapping[str, Corpus],
    world: World,
    views: Views,
    is_trained: bool,
) -> Monitor | None:
    if phase.monitor is None:
        return None
    shown = {name: (name, phase.heard_as) for name, corpus in dev.items() if corpus.has_audio}
    shown |= {f"{domain}/{view}": (domain, view) for domain, view in phase.held_out}
    wanted = phase.monitor.utterances
    batches = {
        name: _dev_batches(model, dev[domain], view, phase.train, wanted, views)
        for name, (domain, view) in shown.items()
    }
    targets = {utt: target for c in dev.values() for utt, target in c.targets.items()}
    seconds = {utt: s for c in dev.values() for d in c.dirs for utt, s in d.utt2dur.items()}
    task, joint_ctc = model.task, phase.monitor.joint_ctc
    if joint_ctc:
        check_joint_ctc(model.config, task, "monitor.joint_ctc")
    return Monitor(
        phase.monitor,
        {name: [b.to(world.device) for b in bs] for name, bs in batches.items()},
        phase.errors or DevError(task, targets, seconds, joint_ctc),
        phase.errors or DevError(task, targets, seconds, joint_ctc, is_brief=not is_trained),
        phase.score,
    )


def _labels(model: SpeechLLM, views: Views) -> Labels:
    """Label names in the given answers; made data do not count, as they may hold hypotheses."""
    given = [views.corpora[domain] for domain in ("source", "target") if domain in views.corpora]
    answers = [target for corpus in given for target in corpus.targets.values() if target]
    return model.task.labels(answers)


def _dev_batches(
    model: SpeechLLM, corpus: Corpus, view: str, train: TrainConfig, wanted: int, like: Views
) -> list[Batch]:
    """Batches of similar length from a seeded part of a dev corpus, shown through a view."""
    own = {"seed": train.seed, "prompts": like.prompts, "spell": model.spell}
    views = Views(model.tokenizer, {"dev": corpus}, **own)
    shown = shown_by(view, corpus)
    ids = subset(shown, min(1.0, wanted / len(shown)), train.seed)
    pool = [(i, model.prompt.overhead + views.length(view, "dev", i)) for i in ids]
    plan = plan_epoch(
        [pool],
        [1.0],
        seed=train.seed,
        epoch=0,
        batch_positions=train.batch_positions,
        epoch_items=len(pool),
    )
    batches = [[views.render(view, "dev", item.utt_id) for item in b] for b in plan.batches]
    return [collate(b, model.prompt, model.projector.output_length) for b in batches]
