"""Break the code of trials and evaluations in one place at a time, and see whether a test notices.

    python -m bench.mutants [NAME ...]

Each mutant takes one thing out of a copy of the tree and runs one test file there, which must fail.
Without a NAME all of ``MUTANTS`` are tried. First the files run on the copy as it is: where they
fail already, nothing is proved. Ends with 1 if a mutant survives. The last line is for a machine.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.mutants.mutant import plant
from bench.mutants.roster import MUTANTS
from bench.mutants.tree import copy_tree, failed_test


def try_all(names: list[str], tree: Path, table: Table) -> int:
    """Return how many of the mutants ``names`` were killed; one row of ``table`` each."""
    killed = 0
    for name in names:
        mutant = MUTANTS[name]
        began = time.monotonic()
        before = plant(mutant, tree)
        by = failed_test(tree, mutant.tests)
        (tree / mutant.file).write_text(before, encoding="utf-8")
        killed += bool(by)
        print(f"{name}: {by or 'survived'}", file=sys.stderr, flush=True)
        table.add_row(name, escape(by) or "[bold]survived[/]", f"{time.monotonic() - began:.1f}")
    return killed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {list(MUTANTS)}")
    names = parser.parse_args().names or list(MUTANTS)
    if unknown := [name for name in names if name not in MUTANTS]:
        parser.error(f"no mutant is called {unknown}: use those of {list(MUTANTS)}")
    table = Table("mutant", "killed by", "seconds")
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        fails = failed_test(tree, *sorted({MUTANTS[name].tests for name in names}))
        if fails:
            sys.exit(f"{fails} fails without a mutant: mend it first")
        killed = try_all(names, tree, table)
    Console(width=120).print(table)
    print(f"mutants={len(names)} killed={killed}")
    sys.exit(killed != len(names))


if __name__ == "__main__":
    main()
