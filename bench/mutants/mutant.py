"""Mutant: one thing taken out of a file, and the tests that must notice."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken place.

    Attributes:
        file: Where, relative to the root.
        here: What stands there once.
        instead: What stands there in the mutant.
        tests: The test file that must fail.
    """

    file: str
    here: str
    instead: str
    tests: str


def plant(mutant: Mutant, tree: Path) -> str:
    """Break ``tree`` as ``mutant`` says; return the file's text as it was."""
    path = tree / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.here) != 1:
        problem = f"{mutant.file} holds {text.count(mutant.here)} of {mutant.here!r}, not 1"
        raise ValueError(f"{problem}: mend bench/mutants")
    path.write_text(text.replace(mutant.here, mutant.instead), encoding="utf-8")
    return text
