"""Docstrings that a stranger can read: what it is about, what is given, what is raised."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

FILES = sorted((ROOT / "speechllm").rglob("*.py"))
RIDDLES = ("Of ", "As ", "The same", "Whose ", "What ")


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring, those of attributes included."""
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Expr) else None
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            yield text.lineno, text.value


def public_functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Functions of a module, and methods of its public classes, that others call."""
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")]
    for scope in [tree, *classes]:
        for node in scope.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield node


def raised(function: ast.FunctionDef) -> bool:
    """Whether it raises an error itself, other than one that its own `except` block passes on."""
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(function))


def faults(path: Path) -> Iterator[str]:
    """What is wrong with the docstrings of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    where = path.relative_to(ROOT)
    for line, text in docstrings(tree):
        if text.startswith(RIDDLES):
            yield f"{where}:{line}: begins with a riddle: {text.splitlines()[0]}"
    for function in public_functions(tree):
        text = ast.get_docstring(function)
        if text is None:
            continue  # an override, which says what the method above it says
        given = [*function.args.args, *function.args.kwonlyargs]
        count = len([a for a in given if a.arg not in ("self", "cls")])
        if count >= 3 and "Args:" not in text:
            yield f"{where}:{function.lineno}: {function.name} has {count} parameters and no Args:"
        if raised(function) and "Raises:" not in text and "Raise" not in text:
            yield f"{where}:{function.lineno}: {function.name} raises and has no Raises:"


@pytest.mark.parametrize("folder", sorted({file.parent for file in FILES}), ids=lambda f: f.name)
def test_docstrings(folder: Path) -> None:
    found = [fault for file in sorted(folder.glob("*.py")) for fault in faults(file)]
    assert found == []


def test_a_riddle_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    file = tmp_path / "x.py"
    file.write_text(
        '"""Of a module."""\n\n\ndef add(a: int, b: int, c: int) -> int:\n'
        '    """Sum of three."""\n    raise ValueError\n'
    )
    assert [fault.partition(": ")[2] for fault in faults(file)] == [
        "begins with a riddle: Of a module.",
        "add has 3 parameters and no Args:",
        "add raises and has no Raises:",
    ]
