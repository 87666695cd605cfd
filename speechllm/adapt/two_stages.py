"""Two-stage training: settings of the first stage, and the scheme of text first, speech second."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import model_validator

from speechllm.adapt.method import Method, Phase
from speechllm.config import MonitorConfig, TrainConfig
from speechllm.slot.mixture import Component

TextSlot = Literal["empty", "clean_text", "no_prompt", "upsample_mask"]
"""Views that show text alone."""

LENGTH = {"steps", "epochs", "seconds"}


def inherit_train(values: Any, stage: str) -> Any:
    """Fill the optimisation settings of an earlier stage with those of `train`, where it has none.

    So an override of train.seed or train.batch_positions holds for the whole run. Of steps, epochs
    and seconds, those of `train` count only if the stage has none of them.

    Args:
        values: a method's config, as read from yaml.
        stage: key of the earlier stage.
    """
    train, own = values.get("train"), values.get(stage) or {}
    if not isinstance(train, Mapping) or not isinstance(own, Mapping):
        return values
    taken = {k: v for k, v in train.items() if not (k in LENGTH and LENGTH & own.keys())}
    return {**values, stage: {**taken, **own}}


def log_only(monitor: MonitorConfig) -> MonitorConfig:
    """Settings of a monitor that logs but never acts: an earlier stage hands on its last weights.

    While it learns from text alone, recognition of speech may get worse, and the "best" weights
    would be those from before the stage.
    """
    none = dict.fromkeys(("stop", "rollback", "lower_lr"))
    return monitor.model_copy(update={"keep_best": False, **none})


def source_speech(share: float) -> list[Component]:
    """Component of real source speech; none if the share is zero."""
    return [Component("audio", "source", share)] if share else []


class TextFirst(Method):
    """A stage on all target text, then a stage on speech, whose components a subclass names."""

    slot: TextSlot
    """View that fills the speech slot in the text stage."""
    text_train: TrainConfig
    """Optimisation of the text stage; keys left out are taken from `train`."""

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, values: Any) -> Any:
        return inherit_train(values, "text_train")

    def phases(self, sizes: Mapping[str, int]) -> Sequence[Phase]:
        text = [Component(self.slot, "target", 1.0)]
        speech = self.components(sizes)
        return [
            Phase("text", text, self.trainable, self.text_train, log_only(self.monitor)),
            Phase("speech", speech, self.trainable, self.train, self.monitor),
        ]
