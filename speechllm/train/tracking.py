"""Training metrics in Weights & Biases, if the environment asks for it.

Off unless SPEECHLLM_WANDB names a project. It is no key of the config, since it changes nothing in
training. W&B's own variables work too: WANDB_MODE=offline needs no network and no account, and
`wandb sync` sends the runs later; WANDB_DIR is where its files go, by default wandb/ in the current
directory (not in exp/, where each config.yaml is taken for a model's).
"""

import importlib.util
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speechllm.errors import SpeechLLMError
from speechllm.files.layout import CONFIG
from speechllm.files.own import made_again, read_mapping
from speechllm.files.whole import whole_file

VARIABLE = "SPEECHLLM_WANDB"
RUN_ID = "wandb.id"  # in the run's folder, so that a resumed training continues its run of W&B
STEP = "step"


class WandbRun:
    """Run of W&B that belongs to the folder of one training."""

    def __init__(self, run: Any):
        self._run = run

    def write(self, step: int, scalars: Sequence[tuple[str, float]]) -> None:
        """Log numbers at a training step; steps may repeat after a resume."""
        self._run.log({STEP: step, **dict(scalars)})

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


def start_wandb(folder: Path) -> WandbRun | None:
    """Start or resume the run of W&B that belongs to `folder`; None if W&B is not asked for.

    Raises:
        SpeechLLMError: W&B is asked for, and wandb is not installed.
    """
    project = os.environ.get(VARIABLE)
    if not project:
        return None
    if importlib.util.find_spec("wandb") is None:
        raise SpeechLLMError(
            f"{VARIABLE}={project} asks for Weights & Biases, and wandb is not installed",
            f'pip install "speechllm[wandb]", or unset {VARIABLE}',
        )
    import wandb

    run = wandb.init(
        project=project,
        name="/".join(folder.parts[-2:]),
        id=_run_id(folder),
        resume="allow",
        config=_settings(folder),
    )
    run.define_metric("*", step_metric=STEP)  # W&B's own count of steps may not go back
    return WandbRun(run)


def _settings(folder: Path) -> dict[str, Any]:
    """Config of the run, without its inputs, which are paths of this machine."""
    path = folder / CONFIG
    return read_mapping(path, made_again(folder))["config"] if path.is_file() else {}


def _run_id(folder: Path) -> str:
    path = folder / RUN_ID
    if not path.is_file():
        with whole_file(path) as stream:
            stream.write(secrets.token_hex(8))
    return path.read_text(encoding="utf-8").strip()
