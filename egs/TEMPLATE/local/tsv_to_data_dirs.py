"""Write a Kaldi data dir for each .tsv file of a corpus; local/data.sh describes the columns."""

import csv
import os
import sys
from pathlib import Path

from speechllm.data.kaldi import write_data_dir
from speechllm.errors import DataError, SpeechLLMError

COLUMNS = ("id", "text", "audio", "speaker")


def read_tsv(path: Path) -> list[dict[str, str]]:
    """Read a set's lines; every one has an id of its own and a text."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8: {error}", path) from error
    reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
    header = reader.fieldnames or []
    if not {"id", "text"} <= set(header) <= set(COLUMNS):
        remedy = f"id and text are needed, the columns known are {', '.join(COLUMNS)}"
        raise DataError(f"columns {', '.join(header) or '(none)'}", path, 1, remedy)
    rows: dict[str, dict[str, str]] = {}
    for row in reader:
        if None in row:
            raise DataError("more fields than columns", path, reader.line_num)
        if row["id"] in rows:
            raise DataError(f"id '{row['id']}' stands twice", path, reader.line_num)
        rows[row["id"]] = {name: row.get(name, "").strip() for name in COLUMNS}
    if not rows:
        raise DataError("no utterances", path)
    return list(rows.values())


def convert(path: Path, out: Path) -> None:
    """Write the data dir of one .tsv file; a set has audio for all utterances or for none."""
    rows = read_tsv(path)
    silent = [row["id"] for row in rows if not row["audio"]]
    if 0 < len(silent) < len(rows):
        raise DataError(f"{len(silent)} utterances without audio: {', '.join(silent[:5])}", path)
    text = {row["id"]: " ".join(row["text"].split()) for row in rows}
    if silent:
        write_data_dir(out, text=text)
    else:
        wav = {row["id"]: os.path.normpath(path.parent / row["audio"]) for row in rows}
        utt2spk = {row["id"]: row["speaker"] or row["id"] for row in rows}
        write_data_dir(out, text=text, wav=wav, utt2spk=utt2spk)
    print(f"{out}: {len(rows)} utterances{' (text alone)' if silent else ''}")


def main(corpus: Path, data: Path) -> None:
    """Convert every set of a corpus."""
    files = sorted(corpus.glob("*.tsv"))
    if not files:
        raise DataError("no .tsv file in this folder", corpus, remedy="local/data.sh says what")
    for path in files:
        convert(path, data / path.stem)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except SpeechLLMError as error:
        sys.exit(f"local/data.sh: {error}")
