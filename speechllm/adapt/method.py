"""Base class of all adaptation methods, and their register."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import model_validator

from speechllm.config import (
    LoraConfig,
    MonitorConfig,
    PositiveFloat,
    Section,
    TargetWarmStartConfig,
    TrainConfig,
    parse,
    read_yaml,
)
from speechllm.errors import ConfigError, did_you_mean
from speechllm.slot.mixture import Component
from speechllm.slot.text.noise import NoiseConfig

if TYPE_CHECKING:  # to read a config needs no torch
    from speechllm.model.speech_llm import SpeechLLM
    from speechllm.slot.corpus import Corpus
    from speechllm.slot.mixing import Mixture
    from speechllm.slot.views import PromptMaker
    from speechllm.train.loop import Controller, Objective
    from speechllm.train.monitor import Errors

METHODS = {
    "audio": "speechllm.adapt.methods.audio:FullAudio",
    "text_only": "speechllm.adapt.methods.text_only:TextOnly",
    "denoise": "speechllm.adapt.methods.denoise:Denoise",
    "mixed_batching": "speechllm.adapt.methods.mixed_batching:MixedBatching",
    "adaptive": "speechllm.adapt.methods.adaptive:Adaptive",
    "soft_prompt": "speechllm.adapt.methods.soft_prompt:SoftPromptTuning",
    "pre_finetune": "speechllm.adapt.methods.pre_finetune:PreFinetune",
    "curriculum": "speechllm.adapt.methods.schemes:Curriculum",
    "direct_mixing": "speechllm.adapt.methods.schemes:DirectMixing",
    "pseudo_label": "speechllm.adapt.methods.pseudo_label:PseudoLabel",
    "synthetic_audio": "speechllm.adapt.methods.synthetic_audio:SyntheticAudio",
    "posterior": "speechllm.adapt.methods.posterior:Posterior",
    "tasu2": "speechllm.adapt.methods.tasu2:Tasu2",
    "te2sl": "speechllm.adapt.methods.te2sl:Te2sl",
    "hotwords": "speechllm.adapt.methods.hotwords:HotwordTuning",
}


@dataclass(frozen=True)
class Phase:
    """Stretch of training with one mixture.

    Attributes:
        name: name of its folder below the model's; empty for a method of one phase.
        components: components of its mixture.
        trainable: patterns of the names of the parameters that it trains.
        train: its optimisation.
        monitor: its real-time evaluation; None where dev speech cannot judge it.
        held_out: (domain, view) of further dev sets whose loss is logged as "domain/view".
        heard_as: view through which the monitor shows the dev sets that have audio.
        score: objective to minimise and to monitor; None: the method's, and in the monitor the
            model's own.
        errors: error rates for the monitor; None: those of decoding by the search.
    """

    name: str
    components: Sequence[Component]
    trainable: tuple[str, ...]
    train: TrainConfig
    monitor: MonitorConfig | None
    held_out: Sequence[tuple[str, str]] = ()
    heard_as: str = "audio"
    score: "Objective | None" = None
    errors: "Errors | None" = None


@dataclass(frozen=True)
class Workspace:
    """Model, corpora and folders that a method prepares its data with.

    Attributes:
        model: the base model, in eval mode.
        bundle: folder of its bundle.
        corpora: "source" and "target"; call `open_frames` and `measure` before using speech.
        dump: root of the feature cache.
        folder: folder of the model that is being made; prepared data goes below it.
        device: device to compute on.
    """

    model: "SpeechLLM"
    bundle: Path
    corpora: Mapping[str, "Corpus"]
    dump: Path
    folder: Path
    device: str = "cpu"

    def audible_source(self) -> "Corpus":
        """Source corpus with its frames opened.

        Raises:
            DataError: the source has no audio, or no features.
        """
        source, config = self.corpora["source"], self.model.config
        if not source.frames:
            source.open_frames(self.dump, config.audio_model, config.encoder_settings)
        return source


class Kl(Section):
    """Stay near the base: a KL to its next tokens beside the method's own loss (docs/kl.md)."""

    weight: PositiveFloat = 0.3
    """Weight of the KL; the method's own loss per token has weight 1."""
    rows: Literal["all", "speech", "text", "source"] = "all"
    """Rows where the KL counts: `speech` has real speech in the slot, `text` anything else;
    `source` is of the source domain, whatever is in the slot."""


class Method(Section):
    """Adaptation method: which views of which domain, in which proportions, train what.

    A subclass adds its own settings and implements `components`; the engine does the rest. Methods
    that need more override further functions.
    """

    method: str
    lora: LoraConfig | None = LoraConfig()
    trainable: tuple[str, ...] = ("llm.*.lora_*",)
    """Patterns of parameter names that are trained; all else is frozen."""
    noise: NoiseConfig = NoiseConfig()
    warm_start: TargetWarmStartConfig | None = None
    """First phase, in which the base's projector goes on learning CTC (docs/warm-start.md)."""
    kl: Kl | None = None
    """Keep the LLM near the base while it learns; needs lora."""
    train: TrainConfig
    monitor: MonitorConfig = MonitorConfig()

    @model_validator(mode="before")
    @classmethod
    def _one_seed(cls, values: Any) -> Any:
        """Give a warm start the seed of `train`, so that both use the same target utterances."""
        warm_start, train = values.get("warm_start"), values.get("train")
        own = warm_start.get("train") if isinstance(warm_start, Mapping) else None
        if not isinstance(own, Mapping) or not isinstance(train, Mapping) or "seed" not in train:
            return values
        seeded = {"seed": train["seed"], **own}
        return {**values, "warm_start": {**warm_start, "train": seeded}}

    @model_validator(mode="after")
    def _has_a_base(self) -> Self:
        if self.kl and not self.lora:
            raise ConfigError(
                "kl: the base is the model without its LoRA, and lora is null",
                "give lora, or leave kl out",
            )
        return self

    @property
    def reads_target_text(self) -> bool:
        """Whether the target's transcripts are read at all."""
        return True

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        """Components of the mixture.

        Args:
            sizes: number of utterances of "source" and "target"; also of those with audio
                ("target/audio") and of those with a transcript ("target/text").

        Raises:
            NotImplementedError: a subclass lacks this method.
        """
        raise NotImplementedError

    def phases(self, sizes: Mapping[str, int]) -> Sequence[Phase]:
        """Phases of training in their order; by default one phase of `components`."""
        return [Phase("", self.components(sizes), self.trainable, self.train, self.monitor)]

    def prepare(self, workspace: Workspace) -> Mapping[str, "Corpus"]:
        """Make data that components refer to by another domain than "source" and "target".

        Called before any training, also when a killed run goes on; the first process calls it
        before the others, so that these find on disk what it made.

        Returns:
            Corpora by the name of their domain, measured and with frames.

        Raises:
            ConfigError: the data cannot be made from what is given.
        """
        return {}

    def prompts(self, model: "SpeechLLM", corpora: Mapping[str, "Corpus"]) -> "PromptMaker | None":
        """Maker of prompts for the view `hotwords`; None for a method that does not show it."""
        return None

    def add_scaffold(self, model: "SpeechLLM") -> None:
        """Put modules that only training needs into `model.scaffold`."""

    def objective(self, model: "SpeechLLM") -> "Objective":
        """Loss to minimise for a batch; by default the model's own."""
        return model

    def controller(self, mixture: "Mixture") -> "Controller | None":
        """Controller that changes the mixture after evaluations of the monitor; None: nothing does.

        Args:
            mixture: mixture of a phase.
        """
        return None


def load_method(path: Path, overrides: Sequence[str] = ()) -> Method:
    """Read a method's config; its key `method` names the class.

    Raises:
        ConfigError: no such method, or a key that the method does not have.
    """
    values: dict[str, Any] = read_yaml(path, overrides)
    name = str(values.get("method"))
    if name not in METHODS:
        raise ConfigError(f"{path}: method: there is no '{name}'{did_you_mean(name, METHODS)}")
    module, cls = METHODS[name].split(":")
    return parse(getattr(importlib.import_module(module), cls), values, path)
