"""The glossary's second half: every public class with its room and the first line of its docstring.

Read from the source, without importing it: rooms need libraries that other rooms do without.
"""

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("rankspace", "tuning", "perfmodel", "pruning", "service", "worker", "rankadaptor")
BEGIN = "<!-- classes: made by `make docs` from the first lines of their docstrings -->\n"
_HEAD = "| class | room | meaning |\n|---|---|---|\n"


def with_classes(glossary: str) -> str:
    """Return the page with the table behind ``BEGIN`` made anew."""
    written, _, _ = glossary.partition(BEGIN)
    return f"{written}{BEGIN}{_HEAD}{''.join(_rows())}"


def _rows() -> Iterator[str]:
    found = [row for package in PACKAGES for row in _classes(package)]
    for name, room, meaning in sorted(found, key=lambda row: (row[0].lower(), row[1])):
        yield f"| {name} | `{room}` | {meaning.replace('|', '&#124;')} |\n"


def _classes(package: str) -> Iterator[tuple[str, str, str]]:
    """Name, module and meaning of each public class."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    for path in sorted(root.rglob("*.py")):
        module = ".".join(path.relative_to(root.parent).with_suffix("").parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name, module, _first_line(node)


def _first_line(node: ast.ClassDef) -> str:
    paragraph, _, _ = (ast.get_docstring(node) or "").partition("\n\n")
    return " ".join(paragraph.split()).replace("``", "`")
