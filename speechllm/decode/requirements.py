"""Check, from its settings alone, that a model suits a decode config. Imports no torch."""

from speechllm.config import ModelConfig
from speechllm.decode.config import DecodeConfig
from speechllm.errors import ConfigError
from speechllm.task import Task


def check_suits(model: ModelConfig, config: DecodeConfig, task: Task) -> None:
    """Raise ConfigError if a model lacks what its decode config needs.

    Args:
        model: its settings.
        config: of the decoding.
        task: of the model.
    """
    if config.joint_ctc:
        check_joint_ctc(model, task)
    if config.constrained and task.table == "text":
        why = f"constrained: answers of the task {task.name} have no form"
        raise ConfigError(why, "leave it out")
    ctc = model.projector.ctc if model.projector else None
    if config.speech_temperature is not None and not (ctc and ctc.vectors == "expected"):
        raise ConfigError(
            "speech_temperature: this model has no posteriors that embeddings are weighted by",
            "leave it out, or train a base with model.projector.ctc.vectors: expected",
        )


def check_joint_ctc(model: ModelConfig, task: Task, key: str = "joint_ctc") -> None:
    """Raise ConfigError if the projector's CTC cannot score the answers of a model.

    Args:
        model: its settings.
        task: of the model.
        key: config key that asks for it, for the message.
    """
    if reads_transcripts(model, task):
        return
    if model.projector is None or model.projector.ctc is None:
        why = "the projector of this model has no CTC"
    else:
        why = f"the answers of the task {task.name} are no transcripts"
    raise ConfigError(f"{key}: {why}", "leave it out")


def reads_transcripts(model: ModelConfig, task: Task) -> bool:
    """Whether the projector has CTC, and answers are transcripts, which CTC can read."""
    has_ctc = model.projector is not None and model.projector.ctc is not None
    return has_ctc and task.table == "text"
