"""Nothing outside of speechllm/tasks knows which task runs."""

import re
from pathlib import Path

import speechllm

PACKAGE = Path(speechllm.__file__).parent
ASKS = re.compile(r"""task(\.name)?\s*(==|!=|in\b|is\b)\s*[([{]?["']|isinstance\([^)]*[Tt]ask""")


def test_no_branch_on_a_tasks_name() -> None:
    for line in ('if task == "slu":', "if model.task.name in ('asr',):", 'x if task.name != "a"'):
        assert ASKS.search(line)
    files = [f for f in PACKAGE.rglob("*.py") if not f.is_relative_to(PACKAGE / "tasks")]
    found = [
        f"{file.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if ASKS.search(line)
    ]
    assert len(files) > 100 and not found
