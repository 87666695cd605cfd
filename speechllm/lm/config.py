"""Settings of the language models that `speechllm lm` makes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from speechllm.config import Fraction, PositiveFloat, PositiveInt, Section, TrainConfig, parse
from speechllm.config import read_yaml as read_values
from speechllm.errors import ConfigError, did_you_mean


class LMTrainConfig(Section):
    """Optimisation of a network; the weights that are best on the dev text are kept."""

    steps: PositiveInt | None = None
    epochs: PositiveFloat | None = None
    """Passes over the text. If `steps` is given too, training ends with the first of both."""
    batch_tokens: PositiveInt = 4000
    """Budget of a batch in tokens: sentences x longest sentence."""
    lr: PositiveFloat = 2e-3
    muon_lr: Annotated[float, Field(ge=0)] = 0.0
    """Learning rate of Muon for the matrices of a transformer's layers; 0: AdamW for all."""
    warmup_steps: Annotated[int, Field(ge=0)] = 50
    schedule: Literal["linear", "cosine", "constant"] = "cosine"
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: PositiveFloat = 1.0
    seed: int = 42
    evaluate_every: PositiveInt = 50
    """Steps between evaluations on the dev text."""
    patience: PositiveInt | None = None
    """Evaluations without improvement after which training ends; null: no such end."""

    @model_validator(mode="after")
    def _some_length(self) -> Self:
        if self.steps is None and self.epochs is None:
            raise ValueError("give steps or epochs, or both")
        return self

    def optimisation(self, steps: int) -> TrainConfig:
        """Settings of the optimisers and their schedule, for `steps` steps in all."""
        return TrainConfig(
            steps=steps,
            lr=self.lr,
            muon_lr=self.muon_lr,
            warmup_steps=self.warmup_steps,
            schedule=self.schedule,
            weight_decay=self.weight_decay,
            clip=self.clip,
        )


class NetworkConfig(Section):
    """Neural language model over the tokens of the recogniser's LLM."""

    kind: Literal["lstm", "transformer"]
    width: PositiveInt = 256
    layers: PositiveInt = 2
    heads: PositiveInt = 4
    """Number of attention heads, for a transformer."""
    dropout: Fraction = 0.1
    """Dropout of an LSTM's embeddings and outputs of layers, or of a transformer's attention."""
    train: LMTrainConfig

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.kind == "transformer" and self.width % (2 * self.heads):
            raise ValueError(f"width ({self.width}) must be a multiple of 2 x heads")
        return self


class NGramConfig(Section):
    """Word n-gram, by interpolated modified Kneser-Ney (speechllm/lm/kneser_ney.py)."""

    kind: Literal["ngram"]
    order: PositiveInt = 3


KINDS: dict[str, type[NetworkConfig] | type[NGramConfig]] = {
    "lstm": NetworkConfig,
    "transformer": NetworkConfig,
    "ngram": NGramConfig,
}


def load_lm_config(path: Path, overrides: Sequence[str] = ()) -> NetworkConfig | NGramConfig:
    """Read the config of a language model; its `kind` says which keys it has.

    Raises:
        ConfigError: the kind is unknown, or does not have these keys.
    """
    values = read_values(path, overrides)
    kind = str(values.get("kind"))
    if kind not in KINDS:
        raise ConfigError(f"{path}: there is no kind '{kind}'{did_you_mean(kind, KINDS)}")
    return parse(KINDS[kind], values, path)
