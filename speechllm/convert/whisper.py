"""Conversion of CTranslate2's Whisper to transformers' WhisperForConditionalGeneration.

Names are those of CTranslate2's `WhisperSpec` and `TransformerDecoderSpec`. Its converter
(python/ctranslate2/converters/transformers.py) joins queries, keys and values into one matrix,
multiplies quantised rows by a scale, and stores equal tensors once. All this is undone here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from speechllm.convert.cast import DTYPES, cast
from speechllm.convert.ct2 import Ct2Model, Variable
from speechllm.convert.remedies import AGAIN_OR_OTHER, FROM_ELSEWHERE
from speechllm.errors import DataError

SPEC, REVISION = "WhisperSpec", 3
GELU = 3
SETTINGS: dict[str, tuple[float, ...] | None] = {
    "decoder/activation": (GELU,),
    "decoder/pre_norm": (1,),
    "decoder/scale_embeddings": (0, 1),
    "decoder/start_from_zero_embedding": (0,),
    "decoder/alibi": (0,),
    "decoder/alibi_use_positive_positions": None,
    "decoder/scale_alibi": None,
    "decoder/alignment_layer": None,
    "decoder/alignment_heads": None,
}
"""Variables that are settings, and the values that agree with transformers' model. None: any value,
as they only say how CTranslate2 aligns words, or would bias attention. `scale_embeddings` 0 and 1
mean the same."""


@dataclass
class Tensors:
    """Variables of a model.bin, each to be used exactly once.

    Attributes:
        model: the file's content.
        place: name of the file in messages.
        dtype: type of the tensors that `take` returns.
        left: names that were not used yet.
    """

    model: Ct2Model
    place: str
    dtype: torch.dtype
    left: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.left = {*self.model.variables, *self.model.aliases}

    def _get(self, name: str) -> Variable:
        if name not in self.left:
            raise DataError(
                f"lacks variable {name} of a Whisper", self.place, remedy=FROM_ELSEWHERE
            )
        self.left.discard(name)
        return self.model.variables[self.model.aliases.get(name, name)]

    def setting(self, name: str) -> float:
        """Value of a variable that is one number.

        Raises:
            DataError: the variable is missing, or has more or fewer values than one.
        """
        values = self._get(name).values
        if values.size != 1:
            message = f"{name} has {values.size} values, not one"
            raise DataError(message, self.place, remedy=AGAIN_OR_OTHER)
        return float(values.reshape(()))

    def count(self, name: str) -> int:
        """Value of a variable that is one whole number.

        Raises:
            DataError: the variable is missing, or is not one whole number.
        """
        value = self.setting(name)
        if not value.is_integer():  # nan and inf are none
            message = f"{name} is {value:g}, which is no whole number"
            raise DataError(message, self.place, remedy=AGAIN_OR_OTHER)
        return int(value)

    def take(self, name: str) -> torch.Tensor:
        """Tensor of a variable in `dtype`; integers are divided by their scale.

        There is a scale for each row (int8) or for all (int16); an alias has that of its variable.

        Raises:
            DataError: the variable or its scale is missing, they do not fit together, or a number
                does not fit into `dtype`.
        """
        stored = self._get(name)
        if stored.type not in ("int8", "int16"):
            tensor = cast(_tensor(stored, self.place, name), self.dtype, name, self.place)
            # transformers refuses to save parameters that share memory, except those that it ties.
            return tensor.clone() if name in self.model.aliases else tensor
        scaled = self.model.aliases.get(name, name) + "_scale"
        scale = self.model.variables.get(scaled)
        if scale is None:
            message = f"lacks {scaled}, the scale of {stored.type} {name}"
            raise DataError(message, self.place, remedy=FROM_ELSEWHERE)
        self.left -= {scaled, f"{name}_scale"}
        factor = _tensor(scale, self.place, scaled).to(torch.float32)
        rows = stored.values.shape[0] if stored.values.ndim else 0
        if factor.numel() not in (1, rows):
            message = f"{scaled} has {factor.numel()} values for {rows} rows of {name}"
            raise DataError(message, self.place, remedy=AGAIN_OR_OTHER)
        shape = (-1, *[1] * (stored.values.ndim - 1))
        values = torch.from_numpy(stored.values).to(torch.float32) / factor.reshape(shape)
        return cast(values, self.dtype, name, self.place)


def _tensor(stored: Variable, place: str, name: str) -> torch.Tensor:
    if stored.type not in DTYPES:
        message = f"{name} is {stored.type}, and should be a float"
        raise DataError(message, place, remedy=AGAIN_OR_OTHER)
    tensor = torch.from_numpy(stored.values)
    return tensor.view(torch.bfloat16) if stored.type == "bfloat16" else tensor


def float_type(model: Ct2Model) -> torch.dtype:
    """Type of the tensors that are not quantised, judged by the first convolution's bias."""
    stored = model.variables.get("encoder/conv1/bias")
    return DTYPES.get(stored.type if stored else "", torch.float32)


def check_spec(model: Ct2Model, place: str) -> None:
    """Refuse models of other kinds.

    Raises:
        DataError: the model is no Whisper, or one of a later revision.
    """
    if model.spec != SPEC:
        message = f"holds a {model.spec}, a model of another kind; only a {SPEC} can be imported"
        raise DataError(message, place, remedy="name a Whisper, or an LLM as GGUF")
    if model.revision > REVISION:
        message = f"holds a {SPEC} of revision {model.revision}; up to {REVISION} can be read"
        raise DataError(message, place, remedy=FROM_ELSEWHERE)


def whisper_state(tensors: Tensors) -> tuple[dict[str, torch.Tensor], dict[str, str], dict]:
    """Collect all parameters under transformers' names.

    Returns:
        The parameters; the variable that each comes from; the sizes for WhisperConfig.

    Raises:
        DataError: a variable is missing or left over, or has a value that transformers' model
            cannot have.
    """
    state: dict[str, torch.Tensor] = {}
    origin: dict[str, str] = {}
    sizes: dict[str, Any] = {}
    for side in ("encoder", "decoder"):
        layers = _layers(tensors.left, side)
        sizes |= {
            f"{side}_layers": layers,
            f"{side}_attention_heads": tensors.count(f"{side}/num_heads"),
        }
        for source, targets in _names(side, layers):
            _split(tensors, source, targets, state, origin)
    _check_settings(tensors)
    _check_tied(tensors, state["model.decoder.embed_tokens.weight"])
    if tensors.left:
        names = ", ".join(sorted(tensors.left)[:3])
        message = f"holds {len(tensors.left)} variables that a Whisper has not: {names}"
        raise DataError(message, tensors.place, remedy=FROM_ELSEWHERE)
    sizes |= _sizes(state)
    for name, size in sizes.items():
        if size < 1:
            message = f"has no size that a Whisper has: {name} is {size}"
            raise DataError(message, tensors.place, remedy=AGAIN_OR_OTHER)
    return state, origin, sizes


def _layers(names: set[str], side: str) -> int:
    found = [re.match(rf"{side}/layer_(\d{{1,4}})/", name) for name in names]
    return max((int(match[1]) + 1 for match in found if match), default=1)


def _names(side: str, layers: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Pairs of a CTranslate2 module and the transformers modules stacked in it, row by row."""
    if side == "encoder":
        yield "encoder/conv1", ("encoder.conv1",)
        yield "encoder/conv2", ("encoder.conv2",)
    else:
        yield "decoder/embeddings", ("decoder.embed_tokens",)
    yield f"{side}/position_encodings", (f"{side}.embed_positions",)
    yield f"{side}/layer_norm", (f"{side}.layer_norm",)
    for n in range(layers):
        here, there = f"{side}/layer_{n}", f"{side}.layers.{n}"
        attention = f"{there}.self_attn"
        yield f"{here}/self_attention/layer_norm", (f"{attention}_layer_norm",)
        qkv = tuple(f"{attention}.{which}_proj" for which in "qkv")
        yield f"{here}/self_attention/linear_0", qkv
        yield f"{here}/self_attention/linear_1", (f"{attention}.out_proj",)
        if side == "decoder":
            attention = f"{there}.encoder_attn"
            yield f"{here}/attention/layer_norm", (f"{attention}_layer_norm",)
            yield f"{here}/attention/linear_0", (f"{attention}.q_proj",)
            kv = (f"{attention}.k_proj", f"{attention}.v_proj")
            yield f"{here}/attention/linear_1", kv
            yield f"{here}/attention/linear_2", (f"{attention}.out_proj",)
        yield f"{here}/ffn/layer_norm", (f"{there}.final_layer_norm",)
        yield f"{here}/ffn/linear_0", (f"{there}.fc1",)
        yield f"{here}/ffn/linear_1", (f"{there}.fc2",)


def _split(
    tensors: Tensors,
    source: str,
    targets: tuple[str, ...],
    state: dict[str, torch.Tensor],
    origin: dict[str, str],
) -> None:
    """Split a module's weight and bias over its targets. A Whisper's keys have no bias."""
    ends = {"weight": "weight", "bias": "bias"}
    if source.endswith("layer_norm"):
        ends = {"gamma": "weight", "beta": "bias"}
    elif source.endswith("position_encodings"):
        ends = {"encodings": "weight"}
    elif source.endswith("embeddings"):
        ends = {"weight": "weight"}
    for end, name in ends.items():
        whole = tensors.take(f"{source}/{end}")
        if not whole.ndim or whole.shape[0] % len(targets):
            message = f"{source}/{end} is of shape {list(whole.shape)}: not {len(targets)} parts"
            raise DataError(message, tensors.place, remedy=AGAIN_OR_OTHER)
        for target, part in zip(targets, whole.chunk(len(targets)), strict=True):
            if target.endswith("k_proj") and name == "bias":
                if part.any():
                    message = f"{source}/bias: its keys have a bias, which a Whisper has not"
                    raise DataError(message, tensors.place, remedy=FROM_ELSEWHERE)
                continue
            state[f"model.{target}.{name}"] = part
            origin[f"model.{target}.{name}"] = f"{source}/{end}"


def _check_tied(tensors: Tensors, embeddings: torch.Tensor) -> None:
    """Check that the output matrix is the embeddings: an alias, or stored a second time."""
    name, tied = "decoder/projection/weight", "decoder/embeddings/weight"
    aliases = tensors.model.aliases
    if aliases.get(name) == tied:
        tensors.left -= {n for n in (name, f"{name}_scale") if aliases.get(n, "").startswith(tied)}
    elif not torch.equal(tensors.take(name), embeddings):
        message = f"{name} is not the embeddings, as it is in a Whisper"
        raise DataError(message, tensors.place, remedy=FROM_ELSEWHERE)


def _check_settings(tensors: Tensors) -> None:
    for name in sorted(SETTINGS.keys() & tensors.left):
        value, allowed = tensors.setting(name), SETTINGS[name]
        if allowed is not None and value not in allowed:
            message = f"{name} is {value:g}, where a Whisper has {allowed[0]:g}"
            raise DataError(message, tensors.place, remedy=FROM_ELSEWHERE)


def _sizes(state: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """Sizes by the shapes; `_assigned` checks that all shapes fit the model of these sizes."""

    def size(name: str, axis: int) -> int:
        shape = state[f"model.{name}"].shape
        return shape[axis] if axis < len(shape) else 0

    return {
        "vocab_size": size("decoder.embed_tokens.weight", 0),
        "d_model": size("decoder.embed_tokens.weight", 1),
        "num_mel_bins": size("encoder.conv1.weight", 1),
        "max_source_positions": size("encoder.embed_positions.weight", 0),
        "max_target_positions": size("decoder.embed_positions.weight", 0),
        "encoder_ffn_dim": size("encoder.layers.0.fc1.bias", 0),
        "decoder_ffn_dim": size("decoder.layers.0.fc1.bias", 0),
    }
