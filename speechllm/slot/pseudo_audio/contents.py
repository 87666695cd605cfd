"""What may stand in the speech slot of an utterance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Soft:
    """So many positions whose vectors are learnt: the soft prompt in the model's scaffold."""

    length: int


@dataclass(frozen=True)
class Projected:
    """What a projector might have given: float32 [N, E], which goes to the LLM as it is."""

    vectors: np.ndarray


Slot = np.ndarray | Sequence[int] | Soft | Projected | None
"""Encoder frames [T, D], token ids, a soft prompt, or LLM inputs. None is no slot at all and no
prompt around it: the target follows bos."""
