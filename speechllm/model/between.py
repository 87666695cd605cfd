"""Between a base and a model adapted from it: what adaptation changed counts only so much.

WiSE-FT (Wortsman et al., 2109.01903) takes weights on the line between those of a model
and of its fine-tuned self. What a LoRA adds lies on it when the LoRA is scaled. Imports no torch.
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
    """Let what the last adaptation changed count so much: 0 gives the base, 1 all of it.

    LoRA's scaling is multiplied by it; other tensors that adaptation trained go linearly from the
    base's to their own. It is done once, before `SpeechLLM.freeze_for_search`.

    Args:
        model: as `load_bundle` gives it.
        weight: from 0 to 1.

    Raises:
        ConfigError: it is not 1, and the model is no adapted one.
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
