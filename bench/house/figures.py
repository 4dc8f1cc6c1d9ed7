"""What is counted of a package."""

import statistics
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.house.plan import plan
from bench.house.source import Module, modules

PACKAGES = ("rankspace", "tuning", "perfmodel", "pruning", "service", "worker", "rankadaptor")


@dataclass(frozen=True)
class Figures:
    """Of one package, or of all.

    Attributes:
        package: Its name.
        modules: Files of Python.
        lines: All of them.
        filled: Those that are not blank.
        rooms: Files and folders directly in it.
        floors: Rooms on the longest way down.
        arrows: Pairs of rooms of which one imports the other.
        cycles: Groups of rooms that lead to each other.
        fullest: Most files in one folder.
        median: Lines of a function.
        ninetieth: Lines that nine functions in ten do not exceed.
        longest: Lines of the longest file.
        longest_file: Its path in the package.
    """

    package: str
    modules: int
    lines: int
    filled: int
    rooms: int
    floors: int
    arrows: int
    cycles: int
    fullest: int
    median: float
    ninetieth: float
    longest: int
    longest_file: str


def survey(root: Path) -> list[Figures]:
    """Count every package that the checkout ``root`` has."""
    found = {package: modules(root, package) for package in PACKAGES}
    return [figures(root, name, files) for name, files in found.items() if files]


def figures(root: Path, package: str, files: dict[str, Module]) -> Figures:
    """Count one package of the checkout ``root``."""
    drawn = plan(files)
    lengths = [length for module in files.values() for length in module.functions]
    longest = max(files.values(), key=lambda module: len(module.lines))
    return Figures(
        package=package,
        modules=len(files),
        lines=sum(len(module.lines) for module in files.values()),
        filled=sum(module.filled for module in files.values()),
        rooms=len(drawn.leads_to),
        floors=drawn.floors,
        arrows=drawn.arrows,
        cycles=len(drawn.cycles),
        fullest=max(Counter(module.path.parent for module in files.values()).values()),
        median=statistics.median(lengths or [0]),
        ninetieth=ninetieth(lengths),
        longest=len(longest.lines),
        longest_file=str(longest.path.relative_to(root / package)),
    )


def ninetieth(lengths: list[int]) -> int:
    """The least of ``lengths`` that nine tenths of them do not exceed; 0 of none."""
    return sorted(lengths)[-(-9 * len(lengths) // 10) - 1] if lengths else 0
