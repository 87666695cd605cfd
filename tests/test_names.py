"""Names that a reader can search for: each means one thing in the package."""

import ast
from collections import Counter, defaultdict

from tests.helpers.paths import ROOT

FILES = sorted((ROOT / "speechllm").rglob("*.py"))


def test_no_class_name_stands_twice() -> None:
    places = defaultdict(list)
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(file.relative_to(ROOT)))
    assert len(places) > 200
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_file_name_stands_four_times() -> None:
    names = Counter(file.name for file in FILES if file.name != "__init__.py")
    assert {name: number for name, number in names.items() if number > 3} == {}


def test_no_folder_is_a_heap() -> None:
    sizes = Counter(file.parent.relative_to(ROOT) for file in FILES)
    assert {str(folder): number for folder, number in sizes.items() if number > 15} == {}
