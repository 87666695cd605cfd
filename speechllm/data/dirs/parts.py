"""Report on a set that was split: the sizes of its parts, and ids that are in none of them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from speechllm.data.dirs.set_tables import SetTables
from speechllm.data.dirs.tables import first_ids

SECONDS_PER_HOUR = 3600


def describe_parts(whole: SetTables, parts: Mapping[Path, SetTables]) -> Iterator[str]:
    """Lines for printing: each part's size, then the ids that no part has."""
    for path, part in {whole.path: whole, **parts}.items():
        yield f"{path}: {_size(part)}"
    for what in ("utterances", "recordings", "speakers"):
        ids = {path: _ids(part, what) for path, part in {whole.path: whole, **parts}.items()}
        left = ids.pop(whole.path) - {name for part in ids.values() for name in part}
        if left:
            yield f"dropped, {what}: {first_ids(sorted(left))}"


def _size(tables: SetTables) -> str:
    size = f"{len(tables.ids)} utterances"
    if "utt2spk" in tables.utterances:
        size += f", {len(_ids(tables, 'speakers'))} speakers"
    if "utt2dur" in tables.utterances:
        size += f", {sum(tables.lengths().values()) / SECONDS_PER_HOUR:.4f} h"
    return size


def _ids(tables: SetTables, what: str) -> set[str]:
    if what == "utterances":
        return set(tables.ids)
    if what == "recordings":
        return set(tables.recordings.get("wav.scp", {}))
    return set(tables.utterances.get("utt2spk", {}).values())
