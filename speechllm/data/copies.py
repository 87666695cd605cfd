"""How copies at other speeds are named: as Kaldi's perturb_data_dir_speed.sh does."""

import re

_PREFIX = re.compile(r"^sp\d+(?:\.\d+)?-")


def speed_prefix(speed: float) -> str:
    """What stands before the name of an utterance or a speaker that is `speed` times as fast."""
    return f"sp{speed:g}-"


def original(name: str) -> str:
    """The name of what a copy was made of; any other name as it is."""
    return _PREFIX.sub("", name)
