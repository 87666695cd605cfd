"""Remedies for files that cannot be imported."""

AGAIN = "get the file again, all of it"
AGAIN_OR_OTHER = "get the file again, or take another"
FROM_ELSEWHERE = "take the model's own transformers folder instead"
WHEEL_AGAIN = "download it again"
PULL = "fetch what it stands for, in the clone that it is of: git lfs pull"


def very_own(name: str) -> str:
    """Remedy for a file beside the model that is another model's, or was changed."""
    return f"put this very model's {name} beside it"
