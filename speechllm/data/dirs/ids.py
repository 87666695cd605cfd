"""Ids of utterances, recordings, speakers and domains: which are valid, and names of copies."""

import re
from collections.abc import Iterable

from speechllm.data.dirs.characters import unseen

_PLAIN_ID = re.compile(r"[!-.0-\[\]-~]+")  # visible ASCII without slashes
_PLAIN_IDS = re.compile(r"[!-.0-\[\]-~\n]+")  # one on a line
_SPEED = re.compile(r"^sp\d+(?:\.\d+)?-")  # as Kaldi's perturb_data_dir_speed.sh names copies
_BLANK_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")


def id_problem(key: str) -> str | None:
    """Say why `key` cannot be an id; None if it can. Ids become file names: no paths.

    >>> id_problem("../x")
    "id holds '/', '\\\\' or '..'"
    """
    if _PLAIN_ID.fullmatch(key) and ".." not in key:
        return None
    if "/" in key or "\\" in key or ".." in key:
        return "id holds '/', '\\' or '..'"
    if not key or _BLANK_OR_CONTROL.search(key):
        return "id is empty or holds a space or a control character"
    if odd := next(iter(unseen(key)), None):
        return f"id holds a character that nobody sees ({odd})"
    return None


def all_plain(keys: Iterable[str]) -> bool:
    """Whether all keys, none of them empty, are ids of plain ASCII, as nearly all ids are."""
    joined = "\n".join(keys)
    return ".." not in joined and bool(_PLAIN_IDS.fullmatch(joined))


def speed_prefix(speed: float) -> str:
    """Prefix of the ids of utterances and speakers that are `speed` times as fast."""
    return f"sp{speed:g}-"


def original(name: str) -> str:
    """Id of what a speed-perturbed copy was made from; any other id is returned unchanged.

    >>> original("sp0.9-u1")
    'u1'
    """
    return _SPEED.sub("", name)
