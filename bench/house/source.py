"""The modules of a package and what each imports, read from its files; nothing is imported."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.house.lengths import function_lengths
from rankspace.cached import cached_property


@dataclass(frozen=True)
class Module:
    """One file.

    Attributes:
        name: Dotted; a package's own is that of its folder.
        path: Of the file.
    """

    name: str
    path: Path

    @cached_property
    def lines(self) -> list[str]:
        return self.path.read_text(encoding="utf-8").splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse("\n".join(self.lines))

    @property
    def filled(self) -> int:
        """Lines that are not blank."""
        return sum(bool(line.strip()) for line in self.lines)

    @property
    def functions(self) -> list[int]:
        """Lines of each function."""
        return list(function_lengths(self.tree))


def modules(root: Path, package: str) -> dict[str, Module]:
    """All modules of ``package`` by name; none where there is no such folder in ``root``."""
    paths = sorted((root / package).rglob("*.py"))
    found = [Module(_name(path.relative_to(root)), path) for path in paths]
    return {module.name: module for module in found}


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(module: Module, known: Mapping[str, Module]) -> Iterator[str]:
    """Names of modules that ``module`` imports, within functions and for types only as well.

    ``from package import name`` is the module ``package.name`` where there is one in ``known``.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in known else node.module
