"""YAML of people: refuses what YAML would take in silence, and what grows when it is read."""

import math
from collections.abc import Hashable
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from rankspace.errors import cut, glimpse

MAX_VALUES = 200_000  # more than a study file without aliases has room for
MAX_NUMBER = 100  # characters
MAX_PROBLEM = 400  # characters of what the parser says: it quotes names of any length

_INT, _TEXT, _MERGE = (f"tag:yaml.org,2002:{kind}" for kind in ("int", "str", "merge"))
_NO_SUCH_VALUE = (ValueError, LookupError, AttributeError, TypeError, OverflowError)
"""What the constructors raise at a date or number that is none, or at a tag that does not fit."""


class UnreadableYaml(ValueError):
    """A text that is not taken as YAML; says why in one line."""


def read_yaml(text: str) -> Any:
    """Return the document.

    Raises:
        UnreadableYaml: Not YAML, a key written twice, nesting too deep, or aliases that would spell
            out more than ``MAX_VALUES`` values.
    """
    try:
        return _StrictLoader(text).document()
    except RecursionError:
        raise UnreadableYaml("is nested too deeply") from None
    except (yaml.YAMLError, *_NO_SUCH_VALUE) as error:
        raise UnreadableYaml(cut(" ".join(str(error).split()), MAX_PROBLEM)) from error


class _StrictLoader(yaml.SafeLoader):
    def document(self) -> Any:
        node = self.get_single_node()
        if node is None:
            return None
        if _values(node, {}) > MAX_VALUES:
            problem = f"aliases would spell out more than {MAX_VALUES:,} values"
            raise ConstructorError(None, None, problem, node.start_mark)
        return self.construct_document(node)

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                problem = "write out the fields that << would merge"
                raise ConstructorError(None, None, problem, key_node.start_mark)
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):  # any other is refused below
                if key in seen:
                    problem = f"the key {glimpse(key)} is written twice"
                    raise ConstructorError(None, None, problem, key_node.start_mark)
                seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: ScalarNode) -> int:
        if len(node.value) > MAX_NUMBER:
            raise ConstructorError(None, None, "a number is too long", node.start_mark)
        return self.construct_yaml_int(node)

    def construct_text(self, node: ScalarNode) -> str:
        text: str = self.construct_yaml_str(node)
        text.encode()  # refuses half of a surrogate pair, which nobody can send or print
        return text


_StrictLoader.add_constructor(_INT, _StrictLoader.construct_number)
_StrictLoader.add_constructor(_TEXT, _StrictLoader.construct_text)


def _values(node: Node, known: dict[Node, float]) -> float:
    """Count ``node`` and what it spells out, aliases at every use; infinite if it holds itself."""
    if node not in known:
        known[node] = math.inf
        known[node] = 1 + sum(_values(part, known) for part in _parts(node))
    return known[node]


def _parts(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, SequenceNode) else []
