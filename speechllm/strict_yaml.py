"""Yaml in which a key that stands twice is an error, not a silent replacement."""

from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_yaml(text: str) -> Any:
    """Parse a document.

    Raises:
        yaml.YAMLError: it is not yaml, or a mapping has a key twice.
    """
    return yaml.load(text, _Loader)
