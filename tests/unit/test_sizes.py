"""House numbers: folders of 20 modules, files of 500 lines, functions of 60, small medians."""

import ast
import statistics
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ["rankadaptor", "rankspace", "tuning", "perfmodel", "pruning", "service", "worker"]
ROOMS = [*PRODUCT, "bench", "docs", "tests"]
BODIES = ("body", "orelse", "handlers", "finalbody", "cases")
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below, without a look at expressions, most of the tree: none holds a def."""
    for field in BODIES:
        for child in getattr(node, field, ()):
            yield child
            yield from statements(child)


@cache
def functions(path: Path) -> tuple[tuple[str, int], ...]:
    """Each function's place and its lines from ``def`` to the end, docstring excluded."""
    found = []
    for node in statements(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if ast.get_docstring(node):
                first = node.body[0]
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            found.append((f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", lines))
    return tuple(found)


def test_no_file_is_longer_than_500_lines() -> None:
    assert {str(p): n for p in FILES if (n := len(p.read_text().splitlines())) > 500} == {}


def test_no_folder_holds_more_than_20_modules() -> None:
    folders = Counter(path.parent for path in FILES)
    assert {str(folder): n for folder, n in folders.items() if n > 20} == {}


def test_no_function_is_longer_than_60_lines() -> None:
    assert {place: n for path in FILES for place, n in functions(path) if n > 60} == {}


def test_the_median_function_of_the_product_has_at_most_8_lines() -> None:
    product = [path for path in FILES if path.relative_to(ROOT).parts[0] in PRODUCT]
    assert statistics.median(n for path in product for _, n in functions(path)) <= 8
