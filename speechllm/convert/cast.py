"""Conversion of tensors to the type they are written in; a number that does not fit is an error."""

import torch

from speechllm.convert.remedies import AGAIN
from speechllm.errors import DataError

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def cast(tensor: torch.Tensor, dtype: torch.dtype, name: str, place: str) -> torch.Tensor:
    """Convert a tensor to `dtype`; without a copy if it is of that type already.

    Args:
        tensor: the tensor.
        dtype: type of the result.
        name: name of the tensor in messages.
        place: name of its file in messages.

    Raises:
        DataError: a number is not finite, or too large for that type.
    """
    result = tensor.to(dtype)
    if torch.isfinite(result).all():
        return result
    if torch.isfinite(tensor).all():
        most = tensor.abs().max().item()
        message = f"{name} reaches {most:g}, too much for {str(dtype).removeprefix('torch.')}"
        raise DataError(message, place, remedy="import it with --dtype bfloat16 or float32")
    message = f"{name} holds numbers that are not finite"
    raise DataError(message, place, remedy=AGAIN)
