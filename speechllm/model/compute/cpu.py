"""Instruction sets of this machine's processor."""

from collections.abc import Mapping
from typing import Any

import torch


def abilities() -> Mapping[str, Any]:
    """Instruction sets by name, and `cpu_name`; empty if torch is older than 2.11."""
    tell = getattr(torch.cpu, "get_capabilities", None)
    return tell() if tell else {}
