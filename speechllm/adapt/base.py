"""Stage 4: train the base model, from pretrained parts and source data.

A whole Speech LLM needs no training: it goes through the same engine with zero steps.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from speechllm.adapt.engine import fit
from speechllm.adapt.method import Phase
from speechllm.adapt.warm_start import warm_start_phase
from speechllm.config import BaseConfig, TrainConfig
from speechllm.errors import ConfigError
from speechllm.imported import sources_of
from speechllm.model.sharded import weights_of_first
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.corpus import Corpus
from speechllm.slot.mixture import Component
from speechllm.slot.views import Views, check_view
from speechllm.train.distributed import join_world

NO_TRAINING = TrainConfig(steps=1, batch_positions=4000, precision="fp32").model_copy(
    update={"steps": 0}
)


def train_base(
    config: BaseConfig,
    train: Sequence[Path],
    dev: Sequence[Path],
    dump: Path,
    folder: Path,
    deadline: float | None = None,
) -> None:
    """Train projector (and whatever `trainable` names) on paired source data.

    A `warm_start` is a phase of its own before that. Without `config.train` nothing is trained:
    the dev sets are evaluated and the folder is written, so that a whole Speech LLM is a base like
    any other.

    Args:
        config: model, optimisation and monitor.
        train, dev: paired data dirs.
        dump: root of the feature cache.
        folder: folder of the base model; a killed run resumes there.
        deadline: time of `time.monotonic` at which the run saves and stops; None for no limit.

    Raises:
        ConfigError: a view does not exist or needs a trained base, shares do not add up to 1, or
            `warm_start.share` does not fit `train` and `views`.
        Unfinished: the time is over.
    """
    for view in config.views:
        check_view(view)
        if view in ("projected_text", "soft_prompt", "pseudo_audio", "hotwords"):
            raise ConfigError(f"views: {view} needs a base that is trained already")
    train_config = config.train or NO_TRAINING
    torch.manual_seed(train_config.seed)  # for the projector's initial weights
    world = join_world(deadline)
    sections = [section.train for section in (config, config.warm_start) if section]
    with weights_of_first(any(section and section.shard for section in sections)):
        model = SpeechLLM(config.model)
    task = model.task

    def open_corpus(paths: Sequence[Path]) -> Corpus:
        corpus = Corpus.load(paths, task)
        corpus.open_frames(dump, config.model.audio_model, config.model.encoder_settings)
        return corpus.measure(model.tokenizer, model.projector.output_length)

    corpora = {"source": open_corpus(train) if config.train else Corpus.load(train, task)}
    views = Views(model.tokenizer, corpora, config.noise, train_config.seed, spell=model.spell)
    warm = config.warm_start
    if warm and warm.share < 1 and warm.train.seed != train_config.seed:
        raise ConfigError("warm_start.share: the seeds of both `train` sections must be the same")
    if warm and warm.share < 1 and not config.views.get("audio"):
        raise ConfigError("warm_start.share: the rest is for the view audio, which `views` lacks")
    components = [
        Component(view, "source", share, fraction=warm.share, complement=True)
        if warm and warm.share < 1 and view == "audio"
        else Component(view, "source", share)
        for view, share in config.views.items()
    ]
    heard = {"source": open_corpus(dev)}
    phases = [Phase("", components, config.trainable, train_config, config.monitor)]
    if warm:
        phases.insert(0, warm_start_phase(warm, model, heard["source"].text))
    record = {
        "kind": "base",
        "method": "base",
        "target": None,
        "base": None,
        "config": config.model_dump(mode="json"),
        "pretrained": sources_of(config.model),
    }
    fit(model, phases, views, heard, folder, world, record)
