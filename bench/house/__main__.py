"""Measure the house, of this tree or another: what lies where, and what leads where.

    python -m bench.house [--trips] [--root DIRECTORY] [--json FILE]

A room is what lies directly in a package, a file or a folder; an arrow leads from one room to
another that it imports, wherever the import stands; floors are the rooms on the longest way down.
``--trips`` runs the product instead, traced: which files are entered on the way of a rank vector
from its proposal to the adapters and of its result back to the model, and on that of a report from
its arrival to the verdict; what runs beside them in other threads counts where it is entered
meanwhile. A file that only says what its values are is not entered. The last line
is for a machine.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.house.figures import Figures, survey
from bench.house.trips import TITLES, rooms, trips

HERE = Path(__file__).resolve().parents[2]
HEADINGS = (
    *("modules", "lines", "not blank", "rooms", "floors", "arrows", "cycles"),
    *("fullest", "function", "longest file"),
)
"""``fullest``: most files in one folder. ``function``: lines, the median and nine tenths."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trips", action="store_true", help="count the files of two trips")
    parser.add_argument("--root", type=Path, default=HERE, help="another checkout")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    root = options.root.resolve()
    figures = _trips(trips(root)) if options.trips else _house(survey(root))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def _house(packages: Sequence[Figures]) -> object:
    table = Table("package")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for one in packages:
        numbers = (one.modules, one.lines, one.filled, one.rooms, one.floors, one.arrows)
        words = [f"{number:,}" for number in (*numbers, one.cycles, one.fullest)]
        lengths = f"{one.median:g} / {one.ninetieth}"
        table.add_row(one.package, *words, lengths, f"{one.longest_file} {one.longest}")
    Console(width=140).print(table)
    print(_last_line(packages))
    return [asdict(one) for one in packages]


def _last_line(packages: Sequence[Figures]) -> str:
    sums = ("modules", "lines", "filled", "rooms", "arrows", "cycles")
    most = ("floors", "fullest", "longest")
    totals = [f"{name}={sum(getattr(one, name) for one in packages)}" for name in sums]
    tops = [f"most_{name}={max(getattr(one, name) for one in packages)}" for name in most]
    return " ".join((*totals, *tops))


def _trips(found: Mapping[str, Sequence[str]]) -> object:
    for name, files in found.items():
        print(f"{TITLES[name]}: {len(files)} files, {len(rooms(files))} rooms")
        for number, file in enumerate(files, 1):
            print(f"{number:4} {file}")
    counts = [f"{name}_files={len(files)}" for name, files in found.items()]
    counts += [f"{name}_rooms={len(rooms(files))}" for name, files in found.items()]
    print(" ".join(counts))
    return found


if __name__ == "__main__":
    main()
