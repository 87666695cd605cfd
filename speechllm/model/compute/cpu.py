"""What this machine's processor can do."""

from collections.abc import Mapping
from typing import Any

import torch


def abilities() -> Mapping[str, Any]:
    """Instruction sets by name, and `cpu_name`; nothing where torch is too old to tell (2.10)."""
    tell = getattr(torch.cpu, "get_capabilities", None)
    return tell() if tell else {}
