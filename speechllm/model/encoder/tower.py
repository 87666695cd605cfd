"""The speech encoder inside a pretrained model: where it is, and how to load it alone."""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from speechllm.data.speech.audio import SAMPLE_RATE
from speechllm.errors import ConfigError
from speechllm.files.guarded import guarded
from speechllm.files.own import read_mapping
from speechllm.pretrained import LOADING_ERRORS, cannot_be_loaded, quietly

INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Tower:
    """A speech encoder: a whole model, or the part of one that takes nothing but audio.

    Attributes:
        path: its dotted name in the model (`audio_tower`, `encoder`); empty if it is the model.
        cls: its model class.
        config: its settings.
        names: names of its parameters and saved buffers.
        parameters: how many numbers its parameters hold.
        masks_padding: whether the model around it takes a mask of audio frames, and so hides the
            padding of a fixed window from the tower.
        keeps_window: whether the model around it gets all frames of a fixed window, silence
            included, as Voxtral's LLM does.
    """

    path: str
    cls: type
    config: Any
    names: frozenset[str]
    parameters: int
    masks_padding: bool
    keeps_window: bool = False

    @property
    def width(self) -> int:
        """Width of the frames that come out, before any multi-modal projector."""
        if getattr(self.config, "add_adapter", False):
            return self.config.output_hidden_size
        return self.config.hidden_size


def find_tower(folder: Path, name: str, trust_remote_code: bool = False) -> Tower:
    """Find the speech encoder of a model, without its weights.

    The model is built on the meta device, and the part that takes only audio is chosen: the
    whole of an encoder (WavLM), the encoder half of a recogniser (Whisper, Parakeet), or the
    audio tower of an audio LLM (Qwen2-Audio, Voxtral).

    Args:
        folder: the model's folder.
        name: its name in the config, for the error message.
        trust_remote_code: run the model's own code.

    Raises:
        ConfigError: the model cannot be built, or none of its parts takes audio alone.
    """
    from transformers import AutoConfig, AutoModel, PreTrainedModel

    options = {"trust_remote_code": trust_remote_code}
    try:
        config = AutoConfig.from_pretrained(folder, **options)
        with torch.device("meta"):
            model = AutoModel.from_config(config, **options)
    except LOADING_ERRORS as error:
        raise cannot_be_loaded("model.encoder", name, error) from error
    parts = [
        (path, part)
        for path, part in model.named_modules()
        if isinstance(part, PreTrainedModel) and _hears_only(part)
    ]
    if not parts and config.is_encoder_decoder and "audio" in _inputs(model):
        parts = [(path, m) for path, m in model.named_modules() if m is model.get_encoder()]
    if not parts and model.is_custom_code():  # need not say what it takes
        parts = [("", model)]
    if not parts:
        raise ConfigError(
            f"model.encoder: {name} holds no speech encoder: {type(model).__name__} takes "
            f"{' and '.join(_inputs(model))}, and no part of it takes audio alone",
            "name a speech model: an encoder (WavLM), a recogniser (Whisper) or an audio LLM",
        )
    # A recogniser may be audio all through, but only its encoder has settings of its own.
    inner = [(path, part) for path, part in parts if type(part.config) is not type(model.config)]
    path, part = inner[0] if inner else parts[0]
    around = inspect.signature(type(model).forward).parameters
    masks = not {"feature_attention_mask", "input_features_mask"}.isdisjoint(around)
    return Tower(
        path,
        type(part),
        part.config,
        frozenset(part.state_dict()),
        sum(parameter.numel() for parameter in part.parameters()),
        masks_padding=bool(path) and masks,
        keeps_window=bool(path) and not masks and not model.config.is_encoder_decoder,
    )


def load_tower(
    tower: Tower, folder: Path, name: str, dtype: torch.dtype, trust_remote_code: bool = False
) -> Any:
    """Load a speech encoder; from a larger model, only the encoder's tensors are read.

    Args:
        tower: result of `find_tower` for `folder`.
        folder: the model's folder.
        name: its name in the config, for the error message.
        dtype: dtype of the weights.
        trust_remote_code: run the model's own code.

    Raises:
        ConfigError: the weights cannot be read, or some of them are missing.
    """
    from transformers import AutoModel

    options = {"dtype": dtype, "output_loading_info": True}
    tensors = read_tensors(folder, tower.names) if tower.path else None
    try:
        with quietly():
            if tensors:
                model, report = tower.cls.from_pretrained(
                    None, config=tower.config, state_dict=tensors, **options
                )
            else:  # the encoder is all there is, or is saved in a way that only transformers knows
                model, report = AutoModel.from_pretrained(
                    folder, trust_remote_code=trust_remote_code, **options
                )
                model = model.get_submodule(tower.path)
    except LOADING_ERRORS as error:
        raise cannot_be_loaded("model.encoder", name, error) from error
    # A saved encoder often lacks the tensors that only masked pretraining needs.
    prefix = "" if tensors or not tower.path else f"{tower.path}."
    missing = sorted(
        key
        for key in report["missing_keys"]
        if key.startswith(prefix) and "masked_spec_embed" not in key
    )
    if missing:
        raise ConfigError(
            f"model.encoder: the weights of {name} lack {len(missing)} tensors of the encoder: "
            f"{', '.join(missing[:3])}",
            "fetch the model again, or name another one",
        )
    return model


def load_extractor(folder: Path, name: str, trust_remote_code: bool) -> Any:
    """Load a speech encoder's feature extractor.

    Args:
        folder: the model's folder.
        name: its name in the config, for the error message.
        trust_remote_code: run the model's own code.

    Raises:
        ConfigError: there is none, or it takes anything but audio of 16 kHz.
    """
    from transformers import AutoFeatureExtractor

    try:
        extractor = AutoFeatureExtractor.from_pretrained(
            folder, trust_remote_code=trust_remote_code
        )
    except LOADING_ERRORS as error:
        raise cannot_be_loaded("model.encoder", name, error) from error
    rate = getattr(extractor, "sampling_rate", None)
    if rate != SAMPLE_RATE:
        raise ConfigError(
            f"model.encoder: {name} takes {f'{rate} Hz' if rate else 'no'} audio, "
            f"and not {SAMPLE_RATE} Hz",
            "name an encoder of 16 kHz speech",
        )
    return extractor


def read_tensors(folder: Path, names: Iterable[str]) -> dict[str, Tensor] | None:
    """Read the tensors of one part of a saved model, and nothing else.

    The part is found by the ends of the saved names alone, since the prefix before them depends
    on the version with which a model was saved.

    Args:
        folder: the model's folder, with safetensors in one file or in several.
        names: names of the tensors inside the part.

    Returns:
        Tensors by name inside the part; None if there are no safetensors with such a part.
    """
    names = set(names)
    places = _saved_tensors(folder)
    first = max(names, key=len)  # the longest is the rarest
    prefixes = [saved.removesuffix(first) for saved in places if saved.endswith("." + first)]
    whole = [p for p in prefixes if all(p + name in places for name in names)]
    if len(whole) != 1:
        return None
    by_file: dict[Path, list[str]] = {}
    for name in names:
        by_file.setdefault(places[whole[0] + name], []).append(name)
    tensors = {}
    for path, wanted in by_file.items():
        with guarded(path, "is damaged, no tensors"), safe_open(path, framework="pt") as stream:
            tensors |= {name: stream.get_tensor(whole[0] + name) for name in wanted}
    return tensors


def _saved_tensors(folder: Path) -> dict[str, Path]:
    """File of each tensor of a model."""
    if (folder / INDEX).is_file():
        return {k: folder / v for k, v in read_mapping(folder / INDEX)["weight_map"].items()}
    path = folder / "model.safetensors"
    if not path.is_file():
        return {}
    with guarded(path, "is damaged, no tensors"), safe_open(path, framework="pt") as stream:
        return dict.fromkeys(stream.keys(), path)


def _inputs(model: Any) -> list[str]:
    """Modalities that a model says it takes: text, audio, image."""
    given = model.input_modalities
    return [given] if isinstance(given, str) else sorted(given)


def _hears_only(model: Any) -> bool:
    return _inputs(model) == ["audio"]
