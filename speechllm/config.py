"""Typed configs from yaml files and key=value overrides. An unknown key is an error."""

import string
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from speechllm.errors import ConfigError, did_you_mean, shortened, shown
from speechllm.files.strict_yaml import YamlError, load_yaml
from speechllm.files.utf8 import read_text
from speechllm.section import Section
from speechllm.task import TASKS

SPEECH_MARKER = "<speech>"
DEFAULT_PROMPT = f"Transcribe speech to text. Speech: {SPEECH_MARKER}."

Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, Field(gt=0, le=10**9)]
PositiveFloat = Annotated[float, Field(gt=0)]


MOST_FAULTS = 8
"""Most faults that one error message lists."""


class CtcConfig(Section):
    """CTC over projected speech, with the LLM's token embeddings as its output layer."""

    units: Literal["tokens", "pieces", "letters"] = "tokens"
    """Output units of the CTC: the LLM's tokens; `pieces`, those tokens that the first `merges` of
    its BPE make, which are frequent even in little speech; or single letters. Text in the speech
    slot is split into the same units."""
    merges: PositiveInt = 1000
    """Number of merges of the LLM's BPE that make `pieces`."""
    alphabet: str | None = None
    """Restricts the units to tokens of these characters; null is all tokens. Little speech is not
    enough to learn that the many other tokens are wrong."""
    vectors: Literal["projected", "expected"] = "projected"
    """Vector that the LLM gets at a speech position: the projected one, scaled to the length of an
    embedding, or the embedding expected under the CTC posteriors (LegoSLM, 2505.11352)."""
    compress: bool = False
    """Drops blank positions and merges repeated tokens (CJST, 2411.07607)."""
    temperature: PositiveFloat = 1.0
    """Temperature of the posteriors in `expected`; the higher, the more the LLM decides, not the
    audio."""
    candidates: PositiveInt = 32
    """Number of tokens in a position's posteriors: the nearest ones; the blank comes on top."""


class ProjectorConfig(Section):
    """Projector from encoder frames to LLM embeddings (SLAM-ASR, 2402.08846, section 3)."""

    kind: Literal["linear", "conv1d", "convnext"] = "linear"
    """Architecture; only in `convnext` do positions see their neighbours."""
    downsampling: PositiveInt = 5
    """Number of encoder frames that become one LLM position."""
    hidden: PositiveInt = 2048
    """Width of the hidden layer; in `convnext`, the width inside a block, four times that between
    blocks."""
    blocks: PositiveInt = 2
    """Number of `convnext` blocks; each adds three positions of context on both sides."""
    dropout: Fraction = 0.1
    """Dropout in the blocks of `convnext`."""
    position_dropout: Fraction = 0.0
    """Share of positions whose frames the warm start sets to zero, so that a projector with little
    speech does not learn it by heart. The LLM gets all positions."""
    ctc: CtcConfig | None = None
    """CTC that reads projected speech as the LLM's tokens; trained by `warm_start`."""


class LoraConfig(Section):
    """Low-rank adapters in the LLM. The default is the preset of 2601.20900."""

    rank: PositiveInt = 16
    alpha: PositiveInt = 32
    dropout: Fraction = 0.05
    targets: tuple[str, ...] = ("q_proj", "v_proj")


class ModelConfig(Section):
    """The Speech LLM: a frozen encoder, a projector and a decoder-only LLM.

    Either `encoder` and `llm` name its parts, or `speech_llm` names one that is trained already.
    """

    task: str = "asr"
    """Task, which sets what the LLM answers: the transcript (asr), its meaning (slu), ...
    (docs/tasks.md)."""
    speech_llm: str | None = None
    """Folder or hub id of a trained Speech LLM, which brings encoder, projector, LLM and prompt."""
    encoder: str | None = None
    """Folder or hub id of the speech encoder."""
    llm: str | None = None
    """Folder or hub id of a causal language model."""
    projector: ProjectorConfig | None = None
    """The projector to be trained between encoder and LLM; a `speech_llm` has its own."""
    lora: LoraConfig | None = None
    prompt: str | None = None
    """The user's turn, with the marker <speech> where the speech goes; null is the task's prompt.
    For a `speech_llm`, the instruction alone, since its own template places the speech; null is
    the task's instruction, or for transcripts the usual one of the model's family."""
    language: str | None = None
    """Language of the speech, for a `speech_llm` whose prompt names it; null is English."""
    chat_template: str | None = None
    """Jinja template for an LLM whose tokenizer has none, or instead of a `speech_llm`'s own."""
    encoder_window: Literal["padded", "cut"] = "padded"
    """Input of an encoder that was trained on windows of one length (Whisper: 30 s): `padded` fills
    the window with silence, as in training; `cut` is the utterance alone."""
    encoder_dtype: Literal["auto", "float32", "float16", "bfloat16"] = "float32"
    """Precision in which the encoder computes; auto is bfloat16 on devices with native bfloat16,
    else float32. Its output is cached as float16 in any case."""
    llm_dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision in which frozen LLM weights are kept."""
    llm_attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = "auto"
    """Attention implementation; auto is sdpa with CUDA and eager without."""
    load_in_4bit: bool = False
    """Keep frozen LLM weights in 4 bits (QLoRA, 2305.14314); needs bitsandbytes."""
    trust_remote_code: bool = False
    """Allow code that comes with the encoder or the LLM to run."""

    @property
    def encoder_settings(self) -> dict[str, str]:
        """Settings that the encoder's output depends on, without those at their defaults."""
        is_whole = self.speech_llm is not None and self.encoder_window == "padded"
        window = "kept" if is_whole else self.encoder_window
        settings = {"window": window, "dtype": self.encoder_dtype}
        return {k: v for k, v in settings.items() if v not in ("padded", "float32")}

    @model_validator(mode="before")
    @classmethod
    def _projector_of_parts(cls, values: Any) -> Any:
        is_parts = isinstance(values, dict) and values.get("speech_llm") is None
        return {"projector": {}} | values if is_parts else values

    @field_validator("task")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in TASKS:
            raise ValueError(f"there is no task '{name}'{did_you_mean(name, TASKS)}")
        return name

    @model_validator(mode="after")
    def _parts_or_whole(self) -> Self:
        parts = {"encoder": self.encoder, "llm": self.llm, "projector": self.projector}
        if self.speech_llm is None:
            if missing := [name for name, part in parts.items() if part is None]:
                raise ValueError(f"give {' and '.join(missing)} too, or speech_llm alone")
            if self.language is not None:
                raise ValueError("only the prompt of a speech_llm can name a language")
            return self
        if given := [name for name, part in parts.items() if part is not None]:
            raise ValueError(f"speech_llm brings all parts: leave out {' and '.join(given)}")
        if self.load_in_4bit:
            raise ValueError("load_in_4bit: only an LLM apart can be kept in 4 bits")
        if SPEECH_MARKER in (self.prompt or ""):
            raise ValueError(
                f"prompt: leave out {SPEECH_MARKER}: a speech_llm's own template places the speech"
            )
        return self

    @property
    def audio_model(self) -> str:
        """Folder or hub id of the model that turns audio into frames."""
        return self.speech_llm or self.encoder or ""

    @property
    def text_model(self) -> str:
        """Folder or hub id of the model that holds the LLM and its tokenizer."""
        return self.speech_llm or self.llm or ""


class TrainConfig(Section):
    """Optimisation. The defaults are those of SLAM-ASR's recipe; recipes override some."""

    steps: PositiveInt | None = None
    """Optimiser steps. Give exactly one of `steps`, `epochs` and `seconds`."""
    epochs: PositiveFloat | None = None
    """Passes over the target domain, or over the source if there is no target."""
    seconds: PositiveFloat | None = None
    """Wall-clock time of training, including the monitor's after the first step. The learning rate
    decays over this time, so no run can be repeated bit by bit."""
    batch_positions: PositiveInt = 2000
    """Budget of a batch: items x longest item, in LLM positions with padding."""
    accumulate: PositiveInt = 1
    """Batches of each process per optimiser step; with two processes, a step has twice as many. A
    run that goes on keeps the number of a whole step that it began with."""
    global_batches: PositiveInt | None = None
    """Instead of `accumulate`: batches of all processes together per optimiser step. The step is
    the same with any number of processes that divides this."""
    layout: Literal["mixed", "alternating", "shuffled"] = "mixed"
    """Order of a mixture's items in batches: `mixed` keeps the proportions in each batch,
    `alternating` takes batches of one component in turn, `shuffled` takes all items in random
    order. The items of an epoch are the same."""
    lr: PositiveFloat = 1e-4
    muon_lr: Annotated[float, Field(ge=0)] = 0.0
    """Learning rate of Muon for the matrices of the LLM's layers; 0 trains them like the rest."""
    warmup_steps: Annotated[int, Field(ge=0)] = 1000
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    decay_steps: PositiveInt | None = None
    """Step at which `linear` and `cosine` reach zero; null is the end of the run."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip: PositiveFloat = 1.0
    """Largest norm of the gradient; larger ones are scaled down."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of training; auto is bf16 on devices with native bf16, else fp32."""
    gradient_checkpointing: bool = False
    """Save memory: recompute the activations of the LLM's layers instead of keeping them."""
    shard: bool = False
    """Shard the weights of the LLM's layers over all processes (FSDP2), for an LLM that does not
    fit on one GPU; costs time. One process alone shards nothing."""
    seed: int = 42
    checkpoint_every: PositiveInt = 500
    log_every: PositiveInt = 20

    def among(self, processes: int, begun_with: int | None = None) -> Self:
        """Config of a run by `processes` that train together; `global_batches` is always set.

        Args:
            processes: number of processes.
            begun_with: batches of a step of the run that goes on; None for a new run.

        Raises:
            ConfigError: `processes` cannot share the batches of a step equally.
        """
        batches = begun_with or self.global_batches or self.accumulate * processes
        if batches % processes and self.global_batches:
            raise ConfigError(
                f"train.global_batches: {processes} processes cannot share {batches}",
                f"give a multiple of {processes}, or another number of processes",
            )
        if batches % processes:
            raise ConfigError(
                f"this run began with {batches} batches in a step, which {processes} processes "
                "cannot share",
                f"go on with a number of processes that divides {batches}",
            )
        return self.model_copy(update={"global_batches": batches, "accumulate": 1})

    @property
    def step_batches(self) -> int:
        """Batches of an optimiser step, of all processes together; see `among`."""
        return self.global_batches or self.accumulate

    @property
    def step_positions(self) -> int:
        """Largest number of LLM positions, with padding, in an optimiser step."""
        return self.step_batches * self.batch_positions

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.global_batches is not None and self.accumulate != 1:
            raise ValueError("give either accumulate or global_batches")
        if [self.steps, self.epochs, self.seconds].count(None) != 2:
            raise ValueError("give either steps or epochs or seconds")
        return self


class StopAction(Section):
    """End the run when the watched signal has not improved for `patience` evaluations."""

    patience: PositiveInt = 5


class RollbackAction(Section):
    """Go back to the best weights when the signal is worse than the best by `margin` (relative)."""

    margin: PositiveFloat = 0.5


class LowerLrAction(Section):
    """Multiply the learning rate by `factor` after `patience` evaluations without improvement."""

    factor: Fraction = 0.5
    patience: PositiveInt = 2


class MonitorConfig(Section):
    """Real-time evaluation on small paired dev sets while training (2506.05671).

    Signals (loss, perplexity, token accuracy, the task's errors) are logged for every set given.
    The actions depend on one signal of one set.
    """

    every: PositiveInt = 100
    """Steps between evaluations."""
    utterances: PositiveInt = 64
    """Number of utterances evaluated in each dev set, the same ones each time."""
    decode: bool = False
    """Also decode them greedily and log the task's error rate (for transcripts, the WER). Before
    the first step of a base, whose model is untrained, answers are cut at 10 tokens."""
    joint_ctc: PositiveFloat | None = None
    """Weight of the projector's CTC in this decoding, as in `joint_ctc` of a decode config; null is
    the LLM alone."""
    watch: Literal["source", "target"] = "source"
    signal: Literal["loss", "perplexity", "token_accuracy", "error"] = "loss"
    """Watched signal; `error` is the main error rate of the task (for transcripts, the WER)."""
    keep_best: bool = True
    """Keep the weights of the best evaluation instead of the last ones."""
    source_margin: Annotated[float, Field(ge=0)] | None = None
    """Largest rise of the loss on source speech, relative to its first value; beyond it, no weights
    count as the best."""
    stop: StopAction | None = None
    rollback: RollbackAction | None = None
    lower_lr: LowerLrAction | None = None

    @model_validator(mode="after")
    def _ctc_of_a_search(self) -> Self:
        if self.joint_ctc and not self.decode:
            raise ValueError("joint_ctc has a say in decoding: set decode: true")
        return self


class AugmentConfig(Section):
    """Augmentation of frames while the projector learns, drawn anew in every epoch."""

    stretch: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Largest relative change of an utterance's length, that is slower or faster speech."""
    noise: Annotated[float, Field(ge=0)] = 0.0
    """Gaussian noise, in standard deviations of the batch's frames."""
    feature_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the encoder's features that are dropped, for a whole utterance."""


class WarmStartConfig(Section):
    """Warm start of the projector: CTC training against the LLM's tokens, before any LLM step.

    Projected speech then lies near the LLM's own embeddings, so the LLM makes use of it from its
    first step on. The LLM itself is not run, so a step costs very little (docs/warm-start.md).
    """

    negatives: PositiveInt | None = 2000
    """Number of negative tokens, drawn uniformly from the vocabulary in every step, that compete
    with those of the batch's transcripts; null is the whole vocabulary."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the source utterances that the projector learns from; the LLM trains on the others.
    The projector makes few errors on speech that it was trained on, so the LLM would not learn to
    correct its errors on new speech."""
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig
    monitor: MonitorConfig = MonitorConfig()

    @model_validator(mode="after")
    def _no_llm(self) -> Self:
        if self.monitor.joint_ctc:
            raise ValueError(
                "monitor.joint_ctc: a warm start is watched by CTC alone; leave it out"
            )
        return self


class TargetWarmStartConfig(WarmStartConfig):
    """Warm start while adapting: the projector learns the target's speech before the LLM does."""

    source_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the items that are source speech; the rest is the target speech of the method."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.share < 1:
            raise ValueError("share is of a base's warm start; leave it out")
        return self


class NoiseConfig(Section):
    """Corruption of text in the slot. The defaults are those of the released code of 2601.20900."""

    kind: Literal["naive", "misspelt", "random", "echo", "empty", "projector"] = "naive"
    """Kind of corruption (speechllm.slot.text.noise). `misspelt` changes a share `char_rate` of all
    letters, as a recogniser of letters would; `projector` makes the confusions that the base's
    projector makes on source speech (speechllm.slot.text.confusions)."""
    word_rate: Fraction = 0.15
    """Share of all words in which characters are substituted."""
    max_words: PositiveInt = 10
    min_word_length: PositiveInt = 4
    """Length of the shortest word in which characters are substituted."""
    char_rate: Fraction = 0.30
    """Share of a chosen word's characters that are substituted."""
    max_chars: PositiveInt = 10
    alphabet: str = Field(default=string.ascii_letters + "!@#$%^&*()_+", min_length=1)
    duplicate_rate: Fraction = 0.10
    """Probability that a letter is repeated."""
    max_repeats: PositiveInt = 3


class BaseConfig(Section):
    """Config of stage 4: train a projector (and what `trainable` names) on source pairs.

    Without `train`, a `speech_llm` is taken as it is.
    """

    model: ModelConfig
    trainable: tuple[str, ...] = ("projector.*",)
    """Patterns of the names of trained parameters; all others are frozen."""
    views: dict[str, Fraction] = Field(default={"audio": 1.0})
    """Views, that is contents of the speech slot, with the share of each. If the whole LLM is
    trained, text views beside the audio keep it able to read text in the slot, which text-based
    adaptation needs."""
    noise: NoiseConfig = NoiseConfig()
    """Corruption in the view `noisy_text`."""
    warm_start: WarmStartConfig | None = None
    """Training of the projector alone, before `train`. Needs `model.projector.ctc`."""
    train: TrainConfig | None = None
    """Training of stage 4; null trains nothing, and the model is only evaluated."""
    monitor: MonitorConfig = MonitorConfig()

    @model_validator(mode="before")
    @classmethod
    def _nothing_without_train(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("train") is None:
            return {"trainable": (), "views": {}} | values
        return values

    @model_validator(mode="after")
    def _new_parts_learn(self) -> Self:
        if self.train is None:
            if self.model.speech_llm is None:
                raise ValueError("give train: a new projector must learn")
            if self.trainable or self.views:
                raise ValueError("trainable and views say how to train: give train, or leave them")
        if self.warm_start and not (self.train and self.model.projector):
            raise ValueError("warm_start is for a new projector that train goes on with")
        if self.warm_start and self.model.projector.ctc is None:
            raise ValueError("warm_start teaches model.projector.ctc: give it, e.g. ctc: {}")
        if not self.warm_start and self.model.projector and self.model.projector.ctc:
            raise ValueError("model.projector.ctc is taught by warm_start: give it")
        return self


C = TypeVar("C", bound=BaseModel)


def read_yaml(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a yaml mapping and apply overrides of the form `a.b=value`.

    Raises:
        ConfigError: no such file, broken yaml, not a mapping, or an override without `=`.
    """
    try:
        values = load_yaml(read_text(path, ConfigError)) or {}
    except YamlError as error:
        raise ConfigError(f"{error.place(path)}: is not valid yaml: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be a mapping of keys to values")
    return with_overrides(values, overrides, path)


def with_overrides(
    values: dict[str, Any], overrides: Sequence[str], path: str | Path | None = None
) -> dict[str, Any]:
    """Change `values` by overrides of the form `a.b=value`, and return them.

    Args:
        values: values by key.
        overrides: changes.
        path: file of the values, for messages.

    Raises:
        ConfigError: an override without `=`, below a key that has none, or with broken yaml.
    """
    for override in overrides:
        name, equals, text = override.partition("=")
        said = f"override '{shortened(override, 200)}'"
        if not equals:
            raise ConfigError(f"{said} is not of the form key=value")
        *parents, last = name.split(".")
        place = values
        for parent in parents:
            if place.get(parent) is None:
                place[parent] = {}
            place = place[parent]
            if not isinstance(place, dict):
                where = f" in {path}" if path else ""
                raise ConfigError(f"{said}: '{parent}' has no keys below it{where}")
        try:
            place[last] = load_yaml(text)
        except YamlError as error:
            raise ConfigError(f"{said}: {error}") from error
    return values


def parse(schema: type[C], values: dict[str, Any], where: str | Path) -> C:
    """Make a typed config of `values`.

    Args:
        schema: class of the config.
        values: keys and values, as yaml gives them.
        where: file or command that they come from, for the error message.

    Raises:
        ConfigError: `values` do not fit the schema. The message names `where` and, for each fault,
            the key, what is wrong, and for an unknown key the nearest known one.

    >>> parse(LoraConfig, {"rank": 8}, "conf/adapt/mine.yaml").rank
    8
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        faults = [_describe(fault, schema) for fault in error.errors()[:MOST_FAULTS]]
        more = error.error_count() - len(faults)
        also = [f"and {more} more"] if more else []
        raise ConfigError(f"{where}: " + "; ".join([*faults, *also])) from error


def load(schema: type[C], path: str | Path, overrides: Sequence[str] = ()) -> C:
    """Read a config from yaml, apply overrides and check it against `schema`.

    Args:
        schema: class of the config.
        path: yaml file.
        overrides: changes of the form `a.b=value`.

    Raises:
        ConfigError: see `read_yaml` and `parse`.
    """
    return parse(schema, read_yaml(path, overrides), path)


def _describe(fault: Any, schema: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _keys_beside(schema, fault["loc"])
        return f"unknown key '{key}'{did_you_mean(str(fault['loc'][-1]), known)}"
    if fault["type"] == "missing":
        return f"key '{key}' is missing"
    if fault["type"] == "value_error" and isinstance(fault["input"], dict):  # about a whole section
        return ": ".join(part for part in (key, str(fault["ctx"]["error"])) if part)
    return f"key '{key}': {fault['msg']}, not {shown(fault['input'])}"


def _keys_beside(schema: type[BaseModel], location: Sequence[Any]) -> list[str]:
    """Known keys of the section in which `location` ends."""
    for part in location[:-1]:
        field = schema.model_fields.get(str(part))
        if field is None:
            continue
        options = getattr(field.annotation, "__args__", (field.annotation,))
        inner = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
        if inner:
            schema = inner[0]
    return list(schema.model_fields)


RECORDED = "recorded"
"""Validation context for a recorded config, which names every key whether the user did or not."""


def as_of_today(schema: type[BaseModel], recorded: dict[str, Any]) -> dict[str, Any]:
    """Add to a recorded config the defaults of keys that are new in the schema.

    A config that today's schema refuses is returned as it is, so that a comparison names what
    differs.
    """
    try:
        return schema.model_validate(recorded, context=RECORDED).model_dump(mode="json")
    except (ValidationError, ConfigError):
        return recorded


def changed_keys(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """List the dotted names of keys whose values differ between two resolved configs.

    Args:
        old: one config.
        new: the other.
        prefix: put before each name; used by the recursion.
    """
    changed = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            changed += changed_keys(a, b, f"{prefix}{key}.")
        elif a != b:
            changed.append(f"{prefix}{key}")
    return changed
