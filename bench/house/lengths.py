"""How long functions are."""

import ast
from collections.abc import Iterator


def function_lengths(tree: ast.Module) -> Iterator[int]:
    """Lines of each function from ``def`` to its end, docstring excluded."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _lines(node) - (_lines(node.body[0]) if ast.get_docstring(node) else 0)


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1
