"""MTS-Dialog (Ben Abacha et al., EACL 2023): doctor-patient conversations, text alone.

    MTS-Dialog-TrainingSet.csv, ...: ID, section_header, section_text, dialogue

A dialogue has a line for each turn: `Doctor: ...`, `Patient: ...`, `Guest_family: ...`.
"""

import re
from pathlib import Path

from speechllm.corpora.reading.lines import read_cells
from speechllm.corpora.reading.spoken import spoken_form
from speechllm.corpora.reading.utterances import Utterance, say_left_out
from speechllm.errors import DataError

COLUMNS = ["ID", "section_header", "section_text", "dialogue"]
REMEDY = "--mts_dialog_root is the folder with MTS-Dialog-TrainingSet.csv in it"
TURN = re.compile(r"(?P<who>[A-Za-z]\w*):(?P<said>.*)")


def read_turns(path: Path, prefix: str) -> list[Utterance]:
    """Read every turn of every dialogue as an utterance of text.

    Turns with digits are not in spoken form, and lines that name nobody are no turns: both are left
    out with a warning.

    Args:
        path: one of the corpus's CSV files.
        prefix: prefix of the ids, `<prefix>-<ID>-<turn>`.

    Raises:
        DataError: other columns than `COLUMNS`, a broken row, or an ID that is no number or
            stands twice.
    """
    digits: list[str] = []
    nobody: list[str] = []
    seen: set[str] = set()
    utterances = []
    for line, row in read_cells(path, REMEDY):
        if list(row) != COLUMNS:
            raise DataError(f"columns {', '.join(row)} are not {', '.join(COLUMNS)}", path, 1)
        if not row["ID"].isdigit() or row["ID"] in seen:
            raise DataError(f"ID {row['ID']!r} is no number, or stands twice", path, line)
        seen.add(row["ID"])
        turns = [turn.strip() for turn in row["dialogue"].split("\n")]
        first = line - len(turns) + 1  # the dialogue is the last column
        for number, turn in enumerate(turns):
            utt = f"{prefix}-{int(row['ID']):04d}-{number + 1:03d}"
            match = TURN.fullmatch(turn)
            if not match:
                nobody += [f"line {first + number}"] if turn else []
            elif re.search(r"\d", match["said"]):
                digits.append(utt)
            elif text := spoken_form(match["said"]):
                utterances.append(Utterance(utt, text))
    say_left_out("with digits", digits)
    say_left_out(f"no turn, in {path.name}", nobody)
    return utterances
