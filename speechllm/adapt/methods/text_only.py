"""Text-only fine-tuning with real-time evaluation (Fang et al., 2506.05671)."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from speechllm.adapt.method import Method, Phase, Workspace
from speechllm.adapt.two_stages import TextSlot
from speechllm.config import Fraction, PositiveFloat, Section
from speechllm.errors import ConfigError
from speechllm.slot.mixture import Component

if TYPE_CHECKING:
    from speechllm.adapt.losses.easy_to_hard import EasyToHard
    from speechllm.model.speech_llm import SpeechLLM
    from speechllm.slot.corpus import Corpus
    from speechllm.slot.mixing import Mixture
    from speechllm.train.loop import Objective

Growth = Annotated[float, Field(gt=0, le=1)]


class PairsConfig(Section):
    """Source pairs on which speech and text are compared."""

    share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Share of the pairs among all items; the rest is target text."""
    lm_loss: bool = False
    """Learn to transcribe the pairs too. The published method has its LM loss on text alone."""


class Contrastive(Section):
    """InfoNCE between a source utterance's pooled speech and its pooled transcript."""

    weight: PositiveFloat = 0.1
    temperature: Annotated[float, Field(gt=0.01)] = 0.07
    learn_temperature: bool = False
    """Train the temperature, starting from `temperature`; it stays above 0.01."""
    layer: int = -1
    """Layer whose hidden states are compared: 0 is the LLM's input, n its n-th, -1 the last."""


class Alignment(Section):
    """Distance between the hidden states of source speech and of target text."""

    weight: PositiveFloat = 1.0
    kind: Literal["coral", "mmd"] = "coral"
    layer: int = -1
    """Layer whose hidden states are compared: 0 is the LLM's input, n its n-th, -1 the last."""
    bandwidth: PositiveFloat | None = None
    """Bandwidth of mmd's kernel; null = the median distance."""

    @model_validator(mode="after")
    def _has_a_kernel(self) -> Self:
        if self.bandwidth and self.kind != "mmd":
            raise ConfigError("alignment.bandwidth is for alignment.kind mmd alone")
        return self


class EasyToHardConfig(Section):
    """Curriculum over target text from easy to hard, by the base model's perplexity."""

    start: Growth = 0.3
    """Initial share of the text, the easiest, that is drawn from."""
    step: Growth = 0.2
    """Growth of the share at an evaluation where the signal has not got worse."""
    margin: Fraction = 0.02
    """Relative worsening since the last evaluation that does not count."""
    signal: Literal["loss", "perplexity", "token_accuracy", "error"] = "error"
    """Metric of the monitor's watched set that sets the pace."""


class TextOnly(Method):
    """LoRA on target text with the speech slot empty, monitored on source speech.

    The paper's two stages are stage 4 (source pairs) and this one; its evaluation of alignment
    while training is the monitor. `slot: clean_text` fills the slot with the transcript itself,
    an ablation; `no_prompt` and `upsample_mask` are baselines of 2412.06967. `contrastive`,
    `alignment` and `curriculum` are off unless their section is there.
    """

    slot: TextSlot = "empty"
    contrastive: Contrastive | None = None
    alignment: Alignment | None = None
    curriculum: EasyToHardConfig | None = None
    pairs: PairsConfig | None = None
    """Source pairs for `contrastive` and `alignment`; null = the defaults, if one of them is on."""

    _difficulty: dict[str, float] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        compares = bool(self.contrastive or self.alignment)
        if self.pairs and not compares:
            raise ConfigError(
                "pairs: without contrastive or alignment nothing compares them",
                "add one of them, or leave pairs out",
            )
        if compares and self.train.layout == "alternating":
            raise ConfigError(
                "contrastive and alignment need source pairs and target text in one batch, "
                "which train.layout: alternating keeps apart",
                "choose train.layout: mixed",
            )
        if compares and self.train.shard:
            raise ConfigError(
                "train.shard: contrastive and alignment read a batch a varying number of times, "
                "and processes that share weights must keep in step",
                "leave train.shard out",
            )
        by_error = self.curriculum and self.curriculum.signal == "error"
        if by_error and not self.monitor.decode:
            raise ConfigError(
                "curriculum.signal is 'error', which the monitor does not measure",
                "set monitor.decode: true, or choose curriculum.signal: loss",
            )
        return self

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        if not (self.contrastive or self.alignment):
            return [Component(self.slot, "target", 1.0)]
        share = self._pairs.share
        return [Component(self.slot, "target", 1 - share), Component("audio", "source", share)]

    def phases(self, sizes: Mapping[str, int]) -> Sequence[Phase]:
        trainable = self.trainable
        if self.contrastive and self.contrastive.learn_temperature:
            trainable = (*trainable, "scaffold.temperature.*")
        return [Phase("", self.components(sizes), trainable, self.train, self.monitor)]

    def prepare(self, workspace: Workspace) -> Mapping[str, "Corpus"]:
        from speechllm.adapt.losses.difficulty import perplexities

        if self.curriculum:
            target = workspace.corpora["target"]
            self._difficulty = perplexities(workspace.model, workspace.bundle, target)
        return {}

    def add_scaffold(self, model: "SpeechLLM") -> None:
        from speechllm.adapt.losses.losses import Temperature

        if self.contrastive:
            model.scaffold["temperature"] = Temperature(self.contrastive.temperature)

    def objective(self, model: "SpeechLLM") -> "Objective":
        from speechllm.adapt.losses.auxiliary import WithAuxiliaries, contrast, distance

        auxiliaries = {}
        if c := self.contrastive:
            layer = self._layer(model, "contrastive", c.layer)
            auxiliaries["contrastive"] = contrast(c.weight, layer, model.scaffold["temperature"])
        if a := self.alignment:
            layer = self._layer(model, "alignment", a.layer)
            auxiliaries["alignment"] = distance(a.weight, layer, a.kind, a.bandwidth)
        return WithAuxiliaries(model, auxiliaries, self._pairs.lm_loss) if auxiliaries else model

    def controller(self, mixture: "Mixture") -> "EasyToHard | None":
        from speechllm.adapt.losses.easy_to_hard import EasyToHard

        if not self.curriculum:
            return None
        knobs = self.curriculum.model_dump()
        return EasyToHard(mixture, self._difficulty, watch=self.monitor.watch, **knobs)

    @property
    def _pairs(self) -> PairsConfig:
        return self.pairs or PairsConfig()

    def _layer(self, model: "SpeechLLM", section: str, layer: int) -> int:
        """Number of a layer from the input; raises ConfigError if no trained weight affects it."""
        from speechllm.adapt.losses.slot_states import layer_number

        number = layer_number(model, layer, f"{section}.layer")
        projector = [name for name, _ in model.named_parameters() if name.startswith("projector.")]
        if number == 0 and not any(fnmatchcase(n, p) for n in projector for p in self.trainable):
            raise ConfigError(
                f"{section}.layer: 0 is the LLM's input, on which a frozen projector decides",
                f"choose {section}.layer: -1, or add projector.* to trainable",
            )
        return number
