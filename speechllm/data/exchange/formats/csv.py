"""Comma-separated values with a header; columns are named like a record's fields, or as given."""

import csv
import json
import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechllm.data.dirs.records import FIELDS, TABLE, Record, to_fields
from speechllm.data.exchange.columns import Columns
from speechllm.data.exchange.formats import Holds
from speechllm.data.exchange.lines import read_lines, whole_text
from speechllm.errors import DataError
from speechllm.files.progress import track

log = logging.getLogger(__name__)
SUMMARY = "comma-separated values with a header (.csv or .csv.gz)"
HOLDS = Holds(cuts=True, commands=True, text_only=True)
FOLDER = False
TAB = "\t"


def read(
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
    delimiter: str = ",",
) -> Iterator[Record]:
    """Read a file; an empty cell is no value, and a quoted one may hold line ends.

    Args:
        path: .csv or .csv.gz.
        columns: field -> column, for fields whose column has another name.
        keep: further columns, which become tables.
        delimiter: character between cells.
    """
    taken = Columns(path, columns or {}, keep)
    for line, row in read_rows(path, delimiter):
        yield taken.record({column: cell or None for column, cell in row.items()}, line)
    taken.finish()


def read_rows(
    path: Path, delimiter: str = ",", remedy: str | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line where the row ends, column -> cell).

    Args:
        path: the file.
        delimiter: character between cells; cells between tabs are never quoted.
        remedy: for a file that is not there.

    Raises:
        DataError: there is no header, a column name is repeated, a row has more or fewer cells than
            the header, or is broken.
    """
    reader = csv.reader(read_lines(path, remedy), **_dialect(delimiter))
    try:
        header = next(reader, [])
        if not header or len(set(header)) < len(header):
            message = "the first line must name the columns, each once"
            raise DataError(f"{message}; it is: {', '.join(header) or '(empty)'}", path, 1)
        for cells in reader:
            if len(cells) == len(header):
                yield reader.line_num, dict(zip(header, cells, strict=True))
            elif cells:
                message = f"{len(cells)} cells, but {len(header)} columns"
                remedy = "is the delimiter right? one inside a cell of a .csv needs double quotes"
                raise DataError(message, path, reader.line_num, remedy)
    except csv.Error as error:
        raise DataError(f"broken row: {error}", path, reader.line_num) from error


def write(
    records: Collection[Record],
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    delimiter: str = ",",
) -> None:
    """Write a file with a column for every field and table.

    An empty value of a table reads back as no value; such values are counted and logged.

    Args:
        records: the utterances.
        path: .csv or .csv.gz.
        columns: field -> column, for fields whose column gets another name.
        delimiter: character between cells.

    Raises:
        DataError: a tab in a value of a tab-separated file.
    """
    names = Columns(path, columns or {}).columns
    tables = sorted({name for record in records for name in record.tables})
    lost: Counter[str] = Counter()
    with whole_text(path) as stream:
        writer = csv.writer(stream, lineterminator="\n", **_dialect(delimiter))
        writer.writerow([*(names.get(name, name) for name in FIELDS), *(TABLE + t for t in tables)])
        for record in track(records, f"writing {path.name}", len(records)):
            fields = to_fields(record)
            if "entities" in fields:
                fields["entities"] = json.dumps(fields["entities"], ensure_ascii=False)
            lost.update(name for name, value in record.tables.items() if not value)
            cells = [fields.get(name, "") for name in (*FIELDS, *(TABLE + t for t in tables))]
            try:
                writer.writerow(cells)
            except csv.Error as error:
                message = f"{record.id} holds a tab, and cells of a .tsv cannot"
                raise DataError(message, path, remedy="export csv instead") from error
    for name, count in lost.items():
        log.warning("%s: %d empty values of the table %s are not carried", path, count, name)


def _dialect(delimiter: str) -> dict[str, Any]:
    """Settings of the csv module. Tab-separated files have no quoting: a quote is a character."""
    if delimiter == TAB:
        return {"delimiter": TAB, "quoting": csv.QUOTE_NONE, "quotechar": None}
    return {"delimiter": delimiter, "strict": True}
