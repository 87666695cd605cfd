"""What can be an id: of an utterance, a recording, a speaker, a domain; and of a faster copy."""

import re
from collections.abc import Iterable

from speechllm.data.dirs.characters import unseen

_PLAIN_ID = re.compile(r"[!-.0-\[\]-~]+")  # ASCII that is seen, without slashes
_PLAIN_IDS = re.compile(r"[!-.0-\[\]-~\n]+")  # one on a line
_SPEED = re.compile(r"^sp\d+(?:\.\d+)?-")  # as Kaldi's perturb_data_dir_speed.sh names copies
_BLANK_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")


def id_problem(key: str) -> str | None:
    """Say why `key` cannot be an id, or None. Ids become file names, so paths are refused."""
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
    """Whether each of some keys, none of them empty, is an id of ASCII, as nearly all are."""
    joined = "\n".join(keys)
    return ".." not in joined and bool(_PLAIN_IDS.fullmatch(joined))


def speed_prefix(speed: float) -> str:
    """What stands before the name of an utterance or a speaker that is `speed` times as fast."""
    return f"sp{speed:g}-"


def original(name: str) -> str:
    """The name of what a copy was made of; any other name as it is."""
    return _SPEED.sub("", name)
