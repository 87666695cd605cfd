"""Training metrics as JSON lines, in TensorBoard where it is installed, and in W&B on demand."""

import importlib.util
import json
from pathlib import Path
from typing import Any

from speechllm.errors import shell_word
from speechllm.files.guarded import guarded
from speechllm.files.layout import LOG
from speechllm.files.os_errors import naming
from speechllm.files.own import read_objects
from speechllm.files.whole import whole_file
from speechllm.train.tracking import start_wandb

BOARD = "tensorboard"


class MetricLog:
    """Appends to `train.jsonl`; drops records that a killed run wrote after its last checkpoint.

    Args:
        folder: the run's folder.
        first_step: finished steps of the run that is resumed; later records are dropped, since
            they will be written again.
        active: False on all ranks but the first; they write nothing.
        keeps_evaluation: the evaluation at `first_step` is not done again, so its record stays.

    Raises:
        SpeechLLMError: W&B is asked for (see `speechllm.train.tracking`) and not installed.
    """

    def __init__(
        self, folder: Path, first_step: int = 0, active: bool = True, keeps_evaluation: bool = False
    ):
        self._stream, self._board, self._wandb = None, None, None
        if not active:
            return
        path = folder / LOG
        kept = []
        if path.is_file() and first_step:
            lost = f"rm {shell_word(path)}: only figures are lost"
            with guarded(path, "is damaged", remedy=lost):
                rows = read_objects(path)
                kept = [row for row in rows if _is_before(row, first_step, keeps_evaluation)]
        with whole_file(path) as stream:
            stream.writelines(json.dumps(row) + "\n" for row in kept)
        self._path, self._stream = path, path.open("a", encoding="utf-8")
        if importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / BOARD), purge_step=first_step)
        self._wandb = start_wandb(folder)

    def write(self, step: int, **figures: Any) -> None:
        """Add one record; numbers, also in nested mappings, become scalars of TensorBoard and W&B.

        Args:
            step: finished steps.
            figures: fields of the record.
        """
        if self._stream is None:
            return
        with naming(self._path):
            self._stream.write(json.dumps({"step": step, **figures}) + "\n")
            self._stream.flush()
        scalars = _scalars(figures)
        if self._board is not None:
            with naming(self._path.with_name(BOARD)):
                for name, value in scalars:
                    self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.write(step, scalars)

    def close(self) -> None:
        """Flush and close."""
        if self._stream is not None:
            self._stream.close()
        if self._board is not None:
            self._board.close()
        if self._wandb is not None:
            self._wandb.close()


def _is_before(record: dict[str, Any], step: int, is_evaluated: bool) -> bool:
    """Whether a record is older than the checkpoint at `step`; its evaluation mostly is newer."""
    return record["step"] < step or (
        record["step"] == step and (is_evaluated or "dev" not in record)
    )


def _scalars(figures: dict[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in figures.items():
        if isinstance(value, dict):
            found += _scalars(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)):
            found.append((prefix + name, float(value)))
    return found
