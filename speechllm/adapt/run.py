"""Stage 5: adapt a base model to a target domain by any method."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from speechllm.adapt.engine import fit
from speechllm.adapt.losses.kl import check_kl, with_kl
from speechllm.adapt.made.snapped_text import projected_text
from speechllm.adapt.method import Method, Workspace
from speechllm.adapt.warm_start import heard_in, warm_start_phase
from speechllm.data.dirs.forms import count_words, unlike
from speechllm.errors import ConfigError
from speechllm.files.layout import MODEL
from speechllm.model.bundle import load_bundle
from speechllm.model.description import task_of
from speechllm.model.sharded import weights_of_first
from speechllm.slot.corpus import Corpus
from speechllm.slot.mixture import Component, resolve_shares
from speechllm.slot.views import Views, check_view, needs_audio
from speechllm.train.distributed import join_world

log = logging.getLogger(__name__)


def adapt(
    method: Method,
    base: Path,
    source: Sequence[Path],
    target: Sequence[Path],
    source_dev: Sequence[Path],
    target_dev: Sequence[Path],
    dump: Path,
    folder: Path,
    deadline: float | None = None,
) -> None:
    """Adapt a base model; a killed run resumes.

    Args:
        method: the method, with its settings.
        base: folder of the base run.
        source, target: data dirs to train on. The target may have no audio if the method needs
            none; sets of text alone may stand beside sets with audio.
        source_dev, target_dev: dev sets for the monitor, which evaluates those that have audio.
        dump: root of the feature cache.
        folder: folder of the adapted model.
        deadline: time of `time.monotonic` at which the run saves and stops; None for no limit.

    Raises:
        ConfigError: the method needs data that is not given; raised before any training.
        Unfinished: the time is over.
    """
    bundle = base / MODEL
    task = task_of(base)
    corpora = {
        "source": Corpus.load(source, task),
        "target": Corpus.load(target, task, with_text=method.reads_target_text),
    }
    known = count_words(corpora["source"].text.values())
    if said := unlike(corpora["target"].text.values(), known, "the source's transcripts"):
        log.warning(
            "%s: %s; what is learnt from it is written so too: write it as the source is",
            *(corpora["target"].name, said),
        )
    phases = method.phases(_sizes(corpora))
    mixtures = [phase.components for phase in phases]
    if method.warm_start:
        mixtures.insert(0, heard_in(phases, method.warm_start.source_share))
    used = [component for mixture in mixtures for component in _with_share(mixture)]
    for component in used:
        check_view(component.view)
    if method.kl:
        shown = [c for phase in phases for c in _with_share(phase.components)]
        check_kl(method.kl, method.method, shown)
    audible = {c.domain for c in used if needs_audio(c.view)}
    snapping = {c.domain for c in used if c.view == "projected_text"}
    if method.noise.kind == "projector" and any(c.view == "noisy_text" for c in used):
        snapping.add("source")  # the noise is learnt from its projected text
    for domain in audible | snapping:
        if domain in corpora and not corpora[domain].has_audio:
            raise ConfigError(
                f"{method.method} needs {domain} speech, but {corpora[domain].name} has no audio"
            )
    if method.warm_start and {*corpora["target"].spoken} - {*corpora["target"].written}:
        raise ConfigError(
            f"warm_start needs the words of all speech, which {corpora['target'].name} lacks",
            "leave it out",
        )
    world = join_world(deadline)
    shards = world.size > 1 and any(phase.train.shard for phase in phases)
    makes_data = type(method).prepare is not Method.prepare  # which may need the model everywhere
    with weights_of_first(shards and not makes_data):
        model = load_bundle(bundle)
    if not shards:
        model.to(world.device)

    def measure(corpus: Corpus, with_frames: bool) -> Corpus:
        if with_frames:
            corpus.open_frames(dump, model.config.audio_model, model.config.encoder_settings)
        return corpus.measure(model.tokenizer, model.projector.output_length)

    for domain, corpus in corpora.items():
        measure(corpus, domain in audible | snapping)
    dev = {
        name: measure(corpus := Corpus.load(paths, task), corpus.has_audio)
        for name, paths in {"source": source_dev, "target": target_dev}.items()
        if paths
    }
    snapped: dict[str, str] = {}
    with world.first_before_others():
        # A model that will be sharded fits on no GPU.
        device = "cpu" if shards else world.device
        made = method.prepare(Workspace(model, bundle, corpora, dump, folder, device))
        for domain in sorted(snapping):
            snapped |= projected_text(model, bundle, (corpora | made)[domain])
    corpora |= made
    if method.warm_start:
        said = {utt: text for corpus in dev.values() for utt, text in corpus.text.items()}
        phases = [warm_start_phase(method.warm_start, model, said, mixtures[0]), *phases]
    torch.manual_seed(method.train.seed)  # for the initial weights of added parts
    model.replace_lora(method.lora)
    method.add_scaffold(model)
    views = Views(
        model.tokenizer,
        corpora,
        method.noise,
        method.train.seed,
        snapped,
        model.soft_length,
        method.prompts(model, corpora),
        model.spell,
    )
    record = {
        "kind": "adapted",
        "method": method.method,
        "target": target[0].name.removesuffix("_train"),
        "base": str(base),
        "config": method.model_dump(mode="json"),
        "made": {name: corpus.origin for name, corpus in made.items()},
    }
    fit(
        model,
        phases,
        views,
        dev,
        folder,
        world,
        record,
        parent=bundle,
        objective=with_kl(method.kl, model, method.objective(model), phases),
        controller_of=method.controller,
    )


def _sizes(corpora: Mapping[str, Corpus]) -> dict[str, int]:
    sizes = {name: len(corpus.text) for name, corpus in corpora.items()}
    sizes |= {f"{name}/audio": len(corpus.spoken) for name, corpus in corpora.items()}
    return sizes | {f"{name}/text": len(corpus.written) for name, corpus in corpora.items()}


def _with_share(components: Sequence[Component]) -> list[Component]:
    """Components of a mixture whose share is not zero."""
    shares = resolve_shares([c.share for c in components])
    return [c for c, share in zip(components, shares, strict=True) if share > 0]
