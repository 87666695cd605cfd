"""Records from rows of named columns: lines of CSV or JSON, rows of a dataset."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechllm.data.dirs.ids import id_problem
from speechllm.data.dirs.kaldi import TABLES
from speechllm.data.dirs.records import FIELDS, TABLE, Record, from_fields
from speechllm.errors import DataError, SpeechLLMError, did_you_mean

log = logging.getLogger(__name__)


class Columns:
    """Map columns to fields of a record; columns without a field are counted.

    Args:
        path: the file, for messages.
        columns: field -> column, where the column has another name than the field; "" for a field
            that is not to be taken, although a column has its name.
        keep: columns without a field that become tables of their name.
        must_occur: a column of `columns` that never occurs is an error, not an absent field.

    Attributes:
        columns: field -> column, of all fields that have one.

    Raises:
        SpeechLLMError: no such field, or a column that cannot become a table.
    """

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, str],
        keep: Sequence[str] = (),
        must_occur: bool = True,
    ):
        self.path = path
        self.columns = {name: column for name, column in columns.items() if column}
        self._wanted = {*keep, *(self.columns.values() if must_occur else ())}
        self._seen: Counter[str] = Counter()
        for name in columns:
            if name not in FIELDS:
                raise SpeechLLMError(f"a record has no '{name}'{did_you_mean(name, FIELDS)}")
        if len(set(self.columns.values())) < len(self.columns):
            raise SpeechLLMError("a column is named for two fields")
        # A column given for one field no longer counts as the field of its own name.
        named = {*columns.values(), *keep}
        own = [name for name in FIELDS if name not in columns and name not in named]
        self.columns |= {name: name for name in own}
        self._fields = {column: name for name, column in self.columns.items()}
        for name in keep:
            if problem := table_problem(name):
                raise SpeechLLMError(f"column '{name}' cannot become a table: {problem}")
            self._fields[name] = TABLE + name

    def record(self, row: Mapping[str, Any], line: int) -> Record:
        """Make a record of one row.

        Raises:
            DataError: there is no text, or a value has the wrong type.
        """
        fields = {}
        for column, value in row.items():
            if value is not None:
                self._seen[column] += 1
            name = column if column.startswith(TABLE) else self._fields.get(column)
            if name is not None:
                kept = name.startswith(TABLE) and isinstance(value, int | float)
                fields[name] = str(value) if kept else value
        if not fields.get("text"):
            column = self.columns.get("text", "text")
            near = "" if column in row else did_you_mean(column, row)
            raise DataError(f"there is no '{column}', or it is empty{near}", self.path, line)
        return from_fields(fields, self.path, line)

    def finish(self) -> None:
        """Log the columns that were not taken; call it after the last row.

        Raises:
            DataError: a column that must occur never had a value.
        """
        for column in sorted(self._wanted - self._seen.keys()):
            near = did_you_mean(column, self._seen)
            raise DataError(f"no row has a value for '{column}'{near}", self.path)
        not_taken = {
            column: count
            for column, count in self._seen.items()
            if column not in self._fields and not column.startswith(TABLE)
        }
        if not_taken:
            listed = ", ".join(f"{column} ({count} rows)" for column, count in not_taken.items())
            log.warning("%s: not taken: %s; --keep COLUMN makes a table of it", self.path, listed)


def table_problem(name: str) -> str | None:
    """Say why a further table of a data dir cannot be called `name`; None if it can."""
    if name in TABLES or name.startswith("."):
        return f"{', '.join(TABLES)} and hidden files have a meaning of their own"
    return id_problem(name)
