"""Types of what may fill the speech slot of an utterance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Soft:
    """Soft prompt of so many positions; its learnt vectors are in the model's scaffold."""

    length: int


@dataclass(frozen=True)
class Projected:
    """LLM inputs in place of a projector's output: float32 [N, E], used as they are."""

    vectors: np.ndarray


Slot = np.ndarray | Sequence[int] | Soft | Projected | None
"""Encoder frames [T, D], token ids, a soft prompt, or LLM inputs. None stands for neither slot nor
prompt: the target follows bos."""
