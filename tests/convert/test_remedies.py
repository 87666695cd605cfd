"""Whoever is refused a file is told what to do."""

import ast
from pathlib import Path

import speechllm.convert

FILES = sorted(Path(speechllm.convert.__file__).parent.glob("*.py"))
LEAST = {"ConfigError": 2, "DataError": 4, "guarded": 4}
"""How many arguments there are without names, if the remedy is one of them."""


def test_every_refusal_has_a_remedy() -> None:
    calls = [
        (f"{path.name}:{node.lineno}", node)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in LEAST
    ]
    assert len(calls) > 50
    assert not [
        place
        for place, call in calls
        if len(call.args) < LEAST[call.func.id]
        and "remedy" not in {keyword.arg for keyword in call.keywords}
    ]
