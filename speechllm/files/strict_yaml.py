"""Strict parser for yaml from outside: no key twice, and limits on size and depth."""

from pathlib import Path
from typing import Any

import yaml

from speechllm.errors import shortened

MOST_CHARACTERS = 4_000_000
MOST_VALUES = 200_000
"""Most values of a document with its aliases expanded; ten short lines can stand for billions."""
DEEPEST = 50


class YamlError(ValueError):
    """Error for a document that cannot be read; the message is one sentence.

    Attributes:
        line: 1-based line number; None if it is not known.
    """

    def __init__(self, message: str, line: int | None = None):
        self.line = line
        super().__init__(message)

    def place(self, path: str | Path) -> str:
        """Location for messages: the file, and the line if it is known."""
        return f"{path}:{self.line}" if self.line else str(path)


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise _error(f"the key '{shortened(key.value, 100)}' stands twice", key)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            value = f": {shortened(node.value, 100)}" if isinstance(node, yaml.ScalarNode) else ""
            raise _error(f"not of the kind {node.tag.rpartition(':')[2]}{value}", node) from error


def load_yaml(text: str) -> Any:
    """Parse a document.

    Raises:
        YamlError: it is not yaml, a mapping has a key twice, a value does not fit its tag, or the
            document is too long or too deeply nested.
    """
    node = compose_yaml(text)
    if node is None:
        return None
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise _said(error) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise YamlError(f"a value is not of its kind: {error}") from error
    finally:
        loader.dispose()


def compose_yaml(text: str) -> yaml.Node | None:
    """Parse a document into nodes, which keep line numbers, without making values of them.

    Raises:
        YamlError: it is not yaml, or is too long or too deeply nested.
    """
    if len(text) > MOST_CHARACTERS:
        raise YamlError(f"{len(text):,} characters; {MOST_CHARACTERS:,} are the most")
    try:
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _said(error) from error
    except RecursionError as error:
        raise YamlError(f"values lie more than {DEEPEST} levels deep") from error
    if node is not None:
        _measure(node, {})
    return node


def _measure(node: yaml.Node, known: dict[int, tuple[int, int]], depth: int = 0) -> tuple[int, int]:
    """Number of values and of levels of a node, with its aliases expanded."""
    line = node.start_mark.line + 1
    if depth <= DEEPEST and id(node) not in known:
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        pairs = isinstance(node, yaml.MappingNode)
        children = [child for pair in parts for child in pair] if pairs else parts
        found = [_measure(child, known, depth + 1) for child in children]
        values = 1 + sum(size for size, _ in found)
        if values > MOST_VALUES:
            message = f"more than {MOST_VALUES:,} values, with aliases written out"
            raise YamlError(message, line)
        known[id(node)] = values, 1 + max((levels for _, levels in found), default=0)
    if depth + known.get(id(node), (0, DEEPEST))[1] > DEEPEST:
        raise YamlError(f"values lie more than {DEEPEST} levels deep", line)
    return known[id(node)]


def _error(message: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=message, problem_mark=node.start_mark)


def _said(error: yaml.YAMLError) -> YamlError:
    """Make a one-line error, with line number, of the parser's."""
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or error
    return YamlError(" ".join(str(said).split()), mark.line + 1 if mark else None)
