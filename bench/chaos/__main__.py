"""Kill everything, again and again, and see whether a trial is lost or counted twice.

    python -m bench.chaos [--quick | --no-mutants | --only-mutants] [--trials N] [--workers N]
                          [--database KIND]

Real PostgreSQL or SQLite, real Redis, two service processes behind misbehaving proxies, and worker
processes that run the product's own loop with trials that sleep. Workers are killed and stopped,
services, Redis and PostgreSQL are killed and come back, Redis loses its data, the network is cut,
hangs, resets and crawls, and the clocks of the database and of the services are set an hour on or
back. One study begins with a survey and has further vectors scored later. One more has files that
no worker can open: it must pause, and cost the others nothing.
Afterwards the history is checked offline (``bench.chaos.history``): every
trial's tokens rise, nobody got a trial before its holder lost it, there is exactly one accepted
report per trial and it is the last claim's, what a worker was told had arrived is there, every
proposal is what the model makes of the results before it. Then the service runs without one of its
protections, three times, and the check must find out just that; the same run with all of them must
pass.

PostgreSQL syncs to the disk as it does by default. Making clocks jump takes a C compiler. The last
line is for a machine.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.chaos.faults import FULL, SMALL, Menu
from bench.chaos.history import Findings
from bench.chaos.mutants import MUTANTS, SHOWS, plant
from bench.chaos.run import Order, Outcome, run

USUAL = {"trials": 10_000, "workers": 50, "studies": 10, "database": "postgresql"}
QUICK = {**USUAL, "trials": 300, "workers": 8, "studies": 3}

SHOWN = 10
"""Findings of each kind: many of one must not hide the others."""

MUTANT_MENU = Menu(10, 30, 0, 0, 2, 0, 2)
MUTANT_LONG_SHARE = 0.5
"""A late report does harm only while the next holder is at work: in short trials hardly ever."""


def main() -> None:
    options = parse(sys.argv[1:])
    outcome = None if options.only_mutants else run(_order(options), _say)
    if outcome is not None:
        _show(outcome)
    caught, is_clean = ([], True) if options.quick or options.no_mutants else _mutants(options.seed)
    if options.json and outcome is not None:
        figures = {
            **vars(outcome),
            "findings": asdict(outcome.findings),
            "closed": asdict(outcome.closed),
        }
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    mutants = f"mutants_caught={sum(caught)}/{len(caught)}" if caught else "mutants_caught=-"
    if outcome is not None:
        print(_line_before(outcome))
    print(_last_line(outcome, mutants) if outcome else f"{mutants} clean={is_clean}")
    bad = outcome is not None and (outcome.findings.all or outcome.problems)
    sys.exit(1 if bad or not all(caught) or not is_clean else 0)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line; what would be ignored or could not run is refused."""
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--quick", action="store_true", help="300 trials, 8 workers, no mutants")
    parts.add_argument("--no-mutants", action="store_true")
    parts.add_argument("--only-mutants", action="store_true")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--studies", type=int)
    parser.add_argument("--database", choices=["postgresql", "sqlite"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    _refuse_what_is_ignored(parser, options)
    for name, usual in (QUICK if options.quick else USUAL).items():
        if getattr(options, name) is None:
            setattr(options, name, usual)
    if min(options.trials, options.workers, options.studies) < 1:
        parser.error("--trials, --workers, --studies: 1 or more of each")
    if options.studies > options.trials:
        parser.error(
            f"--studies {options.studies}: more than the {options.trials} trials they share"
        )
    return options


def _refuse_what_is_ignored(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """The runs of the mutants are always the same, on PostgreSQL, and print all that they find."""
    ignored = [name for name in (*USUAL, "json") if getattr(options, name) is not None]
    if options.only_mutants and ignored:
        parser.error(f"--{ignored[0]}: --only-mutants does not use it; leave one of them out")


def _order(options: argparse.Namespace) -> Order:
    return Order(
        options.trials,
        options.workers,
        options.studies,
        SMALL if options.quick else FULL,
        options.database,
        options.seed,
    )


def _mutants(seed: int) -> tuple[list[bool], bool]:
    """Which mutants the check finds out, and whether it passes the service as it is."""
    return [_is_caught(name, seed) for name in MUTANTS], _is_clean(seed)


def _is_caught(name: str, seed: int) -> bool:
    """Whether the check finds what the mutant ``name`` must show."""
    outcome = _mutated(name, seed)
    found = getattr(outcome.findings, SHOWS[name])
    _say(f"mutant {name!r}: {len(found)} {SHOWS[name]}; {found[:1]}")
    return bool(found)


def _is_clean(seed: int) -> bool:
    """Whether the service as it is passes the very run that shows the mutants."""
    outcome = _mutated("", seed)
    found = [*outcome.findings.all, *outcome.problems]
    _say(f"no mutant: {len(found)} findings; {found[:1]}")
    return not found


def _mutated(name: str, seed: int) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="mutant-") as tree:
        planted = plant(name, Path(tree))
        order = Order(
            300,
            10,
            3,
            MUTANT_MENU,
            seed=seed,
            tree=planted,
            most_seconds=150,
            long_share=MUTANT_LONG_SHARE,
            closed_studies=0,
        )
        return run(order, lambda _: None)


def _show(outcome: Outcome) -> None:
    table = Table("what happened", "times", title=f"{outcome.seconds:.0f} s of chaos")
    for kind, count in sorted((outcome.faults + Counter()).items()):
        table.add_row(f"fault: {kind.replace('_', ' ')}", f"{count:,}")
    for kind, count in sorted(outcome.kinds.items()):
        table.add_row(f"history: {kind}", f"{count:,}")
    table.add_row("seconds until a wiped Redis was right", _list(outcome.refills))
    table.add_row("memory of the services, MiB", _list(outcome.mebibytes))
    table.add_row("seconds of checking", f"{outcome.checked_seconds:.0f}")
    Console(width=100).print(table)
    kinds = (getattr(outcome.findings, kind.name)[:SHOWN] for kind in fields(Findings))
    for line in (*chain(*kinds), *outcome.problems):
        print(f"FOUND: {line}")


def _list(numbers: list[float]) -> str:
    return ", ".join(f"{number:.1f}" for number in numbers) or "-"


def _line_before(outcome: Outcome) -> str:
    closed = outcome.closed
    return (
        f"clock_jumps={outcome.faults['clock_jumps']} closed_studies={closed.studies} "
        f"paused={closed.paused} kept_from_them={closed.workers}"
    )


def _last_line(outcome: Outcome, mutants: str) -> str:
    found: Findings = outcome.findings
    return (
        f"trials={outcome.trials} lost={len(found.lost)} double={len(found.double)} "
        f"stale_accepted={len(found.stale)} other={len(found.order + found.model + found.slow)} "
        f"{mutants} seconds={outcome.seconds:.0f}"
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
