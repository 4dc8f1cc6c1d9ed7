"""A campaign: what of a plan is stored already and what has to run."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from bench.proposers.problems.families import problem
from bench.proposers.record import Record
from bench.proposers.roster import PEERS, SLOW, arm
from bench.proposers.runner import Task
from bench.proposers.store import Store


@dataclass(frozen=True)
class Campaign:
    """The split of a plan.

    Attributes:
        stored: Answers that need not be found again.
        waiting: Tasks that run.
        left_out: Peers' tasks that are not stored at every length and do not run now.
    """

    stored: tuple[Record, ...]
    waiting: tuple[Task, ...]
    left_out: tuple[Task, ...]


def campaign(
    tasks: Iterable[Task], store: Store, runnable: Collection[str], mine: Store | None = None
) -> Campaign:
    """Split ``tasks``; peers run if ``runnable`` and not stored, our own unless in ``mine``.

    ``mine`` has what this code answered before: what another code did is no answer of it.
    """
    stored: list[Record] = []
    waiting: list[Task] = []
    left_out: list[Task] = []
    for task in tasks:
        kept = store if task.arm in PEERS else mine
        found = stored_answers(task, kept) if kept else []
        if len(found) < len(task.lengths) and (task.arm not in PEERS or task.arm in runnable):
            waiting.append(task)
            continue
        stored += found
        if len(found) < len(task.lengths):
            left_out.append(task)
    return Campaign(tuple(stored), tuple(waiting), tuple(left_out))


def stored_answers(task: Task, store: Store) -> list[Record]:
    """Answers at those lengths of ``task`` that are stored."""
    fingerprint = problem(task.family, task.layers, task.problem).fingerprint
    version = arm(task.arm).version
    found = [
        store.find((task.family, task.layers, task.problem, task.arm, n), fingerprint, version)
        for n in task.lengths
    ]
    return [record for record in found if record]


def runnable(named: Collection[str] | None, stored: bool) -> frozenset[str]:
    """Peers that run when nothing is stored: those named, else the fast ones; none if ``stored``.

    A library that is not installed runs never.
    """
    asked = set() if stored else set(named) if named else set(PEERS) - SLOW
    return frozenset(name for name in asked & set(PEERS) if arm(name).version)


def remarks(left_out: Iterable[Task]) -> list[str]:
    """Say which peers are missing from the tables, and how to get them."""
    counts = Counter(task.arm for task in left_out)
    return [
        f"{name}: {count} studies are not stored; {_way(name)}" for name, count in counts.items()
    ]


def _way(name: str) -> str:
    if arm(name).version:
        return f"run them with --arms {name}"
    return "its library is not installed: pip install 'rankadaptor[bench]'"
