"""Weights between those of a base model and those of a model adapted from it.

WiSE-FT (Wortsman et al., 2109.01903) takes weights on the line between a model's own and its
fine-tuned ones. Scaling a LoRA moves what it adds along that line. Imports no torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from speechllm.errors import ConfigError
from speechllm.files.layout import DESCRIPTION
from speechllm.files.own import made_again_bundle, read_mapping
from speechllm.model.bundle_record import PARENT

if TYPE_CHECKING:
    from speechllm.model.speech_llm import SpeechLLM


def weigh_adaptation(model: "SpeechLLM", weight: float) -> None:
    """Weigh what the last adaptation changed: 0 gives the base, 1 the adapted model.

    LoRA's scaling is multiplied by the weight; other tensors that adaptation trained are
    interpolated between the base's values and their own. Call it once, before
    `SpeechLLM.freeze_for_search`.

    Args:
        model: result of `load_bundle`.
        weight: from 0 to 1.

    Raises:
        ConfigError: `weight` is not 1, and the model was not adapted from another one.
    """
    from speechllm.model.llm import scale_lora

    before, model.before = model.before, None
    if weight == 1:
        return
    if before is None:
        raise _no_base(weight)
    scale_lora(model.llm, weight)
    parameters = dict(model.named_parameters())
    for name, tensor in before.items():
        own = parameters[name].data
        parameters[name].data = tensor.to(own).lerp(own, weight)
    model.adapted = weight


def check_adapted(bundle: Path, weight: float) -> None:
    """Raise ConfigError where `weigh_adaptation` would, from a bundle's description alone."""
    description = read_mapping(bundle / DESCRIPTION, made_again_bundle(bundle))
    if weight != 1 and PARENT not in description:
        raise _no_base(weight)


def _no_base(weight: float) -> ConfigError:
    return ConfigError(
        f"adapted: {weight:g} is a place between a base and a model adapted from it, and this "
        "model is no adapted one",
        "leave it out, or name an adapted model",
    )
