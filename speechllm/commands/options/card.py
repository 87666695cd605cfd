"""Options that say what a model card cannot find out."""

import argparse
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speechllm.pack.card_header import CardFacts


def add_card(parser: argparse.ArgumentParser) -> None:
    """Add `--license`, `--language` and `--base_model`."""
    parser.add_argument(
        "--license",
        metavar="ID",
        help="for the model card: licence as the hub writes it, e.g. apache-2.0 (default: that of "
        "the pretrained models, if all state the same)",
    )
    parser.add_argument(
        "--language",
        nargs="+",
        type=_language,
        default=[],
        metavar="CODE",
        help="for the model card: codes such as en",
    )
    parser.add_argument(
        "--base_model",
        nargs="+",
        type=_hub_id,
        default=[],
        metavar="OWNER/NAME",
        help="for the model card: ids on the hub of pretrained models that were given as folders",
    )


def card_facts(args: argparse.Namespace, name: str) -> "CardFacts":
    """Facts that the options give, and the name that the card's example loads."""
    from speechllm.pack.card_header import CardFacts

    return CardFacts(name, args.license, tuple(args.language), tuple(args.base_model))


def _language(word: str) -> str:
    if not re.fullmatch("[a-z]{2,3}", word):
        raise argparse.ArgumentTypeError(f"no code of a language: {word}")
    return word


def _hub_id(word: str) -> str:
    from speechllm.pack.hub import is_model_id

    if not is_model_id(word):
        raise argparse.ArgumentTypeError(f"no hub id, owner/name: {word}")
    return word
