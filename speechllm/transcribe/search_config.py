"""Settings of the search for one domain: the model's own or a file's, with changes."""

from collections.abc import Sequence
from pathlib import Path

from speechllm.config import parse, read_yaml, with_overrides
from speechllm.decode.config import DecodeConfig
from speechllm.decode.scorers.build import with_places
from speechllm.task import Task


def search_config(
    own: DecodeConfig,
    task: Task,
    path: Path | None,
    overrides: Sequence[str],
    domain: str | None,
) -> DecodeConfig:
    """Settings of the search.

    Args:
        own: the model's.
        task: of the model; its defaults hold where a file says nothing.
        path: yaml instead of the model's.
        overrides: changes, `key=value`.
        domain: stands for `{target}` in names of language models.

    Raises:
        ConfigError: a wrong setting.
    """
    values = read_yaml(path) if path else own.model_dump()
    values = with_places(with_overrides(values, overrides), {"target": domain, "exp": "exp"})
    config = parse(DecodeConfig, values, path or "transcribe")
    return task.with_decode_defaults(config) if path else config
