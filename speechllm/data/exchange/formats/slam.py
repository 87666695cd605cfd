"""JSON lines of SLAM-LLM: `key`, `source` (the audio file) and `target` (the transcript).

Other fields of a record stand in further keys, which SLAM-LLM ignores. It reads whole files, so the
format cannot hold cuts.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from speechllm.data.dirs.records import Record
from speechllm.data.exchange.columns import Columns
from speechllm.data.exchange.formats import Holds, jsonl
from speechllm.data.exchange.lines import read_json_lines

SUMMARY = "JSON lines of SLAM-LLM: key, source, target"
HOLDS = Holds(cuts=False, commands=False, text_only=True)
FOLDER = False
KEYS = {"id": "key", "audio": "source", "text": "target"}


def read(path: Path, *, keep: Sequence[str] = ()) -> Iterator[Record]:
    """Read a file; the keys `keep` become tables."""
    taken = Columns(path, KEYS, keep, must_occur=False)
    for line, row in read_json_lines(path):
        yield taken.record(row, line)
    taken.finish()


def write(records: Collection[Record], path: Path) -> None:
    """Write a file."""
    jsonl.write(records, path, columns=KEYS)
