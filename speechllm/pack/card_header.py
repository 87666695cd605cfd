"""Header of a model card: what the hub indexes, written and read back by the hub's own client."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData


@dataclass(frozen=True)
class CardFacts:
    """Facts for a model card that no file here states.

    Attributes:
        name: name that the card's example loads, such as the id that the model is pushed to.
        licence: id of a licence as the hub writes it, e.g. apache-2.0, or a name of one.
        languages: their codes by ISO 639.
        base_models: ids on the hub of the pretrained models that were given as folders.
    """

    name: str
    licence: str | None = None
    languages: Sequence[str] = ()
    base_models: Sequence[str] = ()


def card_text(header: dict[str, Any], parts: Sequence[str]) -> str:
    """Text of README.md.

    Args:
        header: keys of ModelCardData; those that are None or empty are left out.
        parts: blocks of Markdown.

    Raises:
        ValueError: the hub could not read the header.
    """
    data = ModelCardData(**{key: value for key, value in header.items() if value})
    body = "\n\n".join(parts)
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}\n"))


def licence_keys(licence: str | None) -> dict[str, str]:
    """Keys of a header for a licence: the id of one that the hub knows, or its name."""
    if licence is None:
        return {}
    if re.fullmatch(r"[a-z0-9.+-]+", licence.lower()):
        return {"license": licence.lower()}
    return {"license": "other", "license_name": licence}


def told_name(name: str) -> str:
    """Name of a pretrained model for others: its hub id, or of a folder here its last part."""
    return Path(name).resolve().name if Path(name).is_dir() else name
