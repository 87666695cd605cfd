"""JSON lines; keys are named like a record's fields, or as given."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from speechllm.data.dirs.records import Record, to_fields
from speechllm.data.exchange.columns import Columns
from speechllm.data.exchange.formats import Holds
from speechllm.data.exchange.lines import json_line, read_json_lines, whole_text
from speechllm.files.progress import track

SUMMARY = "JSON lines with id, audio, text, speaker ... (.jsonl or .jsonl.gz)"
HOLDS = Holds(cuts=True, commands=True, text_only=True)
FOLDER = False


def read(
    path: Path, *, columns: Mapping[str, str] | None = None, keep: Sequence[str] = ()
) -> Iterator[Record]:
    """Read a file.

    Args:
        path: .jsonl or .jsonl.gz.
        columns: field -> key, for fields whose key has another name.
        keep: further keys, which become tables.
    """
    taken = Columns(path, columns or {}, keep)
    for line, row in read_json_lines(path):
        yield taken.record(row, line)
    taken.finish()


def write(
    records: Collection[Record], path: Path, *, columns: Mapping[str, str] | None = None
) -> None:
    """Write a file.

    Args:
        records: the utterances.
        path: .jsonl or .jsonl.gz.
        columns: field -> key, for fields whose key gets another name.
    """
    names = Columns(path, columns or {}).columns
    with whole_text(path) as stream:
        for record in track(records, f"writing {path.name}", len(records)):
            fields = to_fields(record)
            stream.write(json_line({names.get(name, name): v for name, v in fields.items()}))
