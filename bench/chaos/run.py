"""One chaos run: from an empty database to the findings."""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.chaos.crew import LONG, Crew, Post, journals
from bench.chaos.faults import Faults, Menu
from bench.chaos.history import Findings, History, check
from bench.chaos.mutants import ROOT
from bench.chaos.site import Kind, Site, site
from bench.chaos.work import (
    Closed,
    Progress,
    look_at_closed,
    read_history,
    submit,
    submit_closed,
)
from service.storage.db import Database

LOOK_SECONDS = 0.25
PROXIES = 3


@dataclass(frozen=True, slots=True)
class Order:
    """What to run.

    Attributes:
        trials: Search trials in all.
        workers: Processes.
        studies: That share the trials.
        menu: The faults.
        kind: Of database.
        seed: Of everything that is random.
        tree: Where the service's source lies.
        most_seconds: Then the run is over, whatever has come of it.
        replays: Whether every proposal is recomputed at the end.
        long_share: Of the trials, those that last nearly as long as a lease.
        closed_studies: More studies, whose files no worker can open.
    """

    trials: int
    workers: int
    studies: int
    menu: Menu
    kind: Kind = "postgresql"
    seed: int = 0
    tree: Path = ROOT
    most_seconds: float = 1_800.0
    replays: bool = True
    long_share: float = LONG
    closed_studies: int = 1


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        trials: That ended, all purposes.
        findings: Violations.
        seconds: From the first claim to the last result.
        checked_seconds: That the check took, replays included.
        faults: Committed, by kind.
        kinds: Events of the history by kind.
        closed: What became of the studies that nobody can open.
        refills: Seconds until the board in Redis was right again.
        mebibytes: Memory of each replica at the end.
        problems: Of the run itself.
    """

    trials: int
    findings: Findings
    seconds: float
    checked_seconds: float
    faults: Counter[str]
    kinds: Counter[str]
    closed: Closed
    refills: list[float]
    mebibytes: list[float]
    problems: list[str] = field(default_factory=list)


def run(order: Order, say: Callable[[str], None]) -> Outcome:
    """Run ``order``; ``say`` is told how it goes."""
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        home.chmod(0o700)
        jumps = order.menu.clock_jumps > 0
        with site(home, order.kind, order.tree, proxies=PROXIES, sets_clocks=jumps) as running:
            return _run(order, running, say)


def _run(order: Order, running: Site, say: Callable[[str], None]) -> Outcome:
    dice = random.Random(order.seed)
    with running.client() as client:
        closed = submit_closed(client, order.closed_studies)
        studies = submit(client, order.trials, order.studies)
    database = Database(running.database_url, connections=2)
    crew = Crew(_posts(order, running, dice))
    faults = Faults(running, crew, order.menu, dice)
    began = time.monotonic()
    try:
        _until_done(order, faults, Progress(database, studies), say)
        seconds = time.monotonic() - began
        faults.finish()
        faults.problems.extend(f"worker {slot} ended by itself" for slot in crew.dead())
    finally:
        crew.close()
    running.wait_until_ready()
    faults.problems.extend(running.faults_logged())
    say("checking the history")
    told = journals(running.home)
    history = read_history(database, studies, told, faults.refills, replays=order.replays)
    shut = look_at_closed(database, closed)
    database.close()
    return _outcome(history, faults, shut, seconds, time.monotonic() - began - seconds)


def _posts(order: Order, running: Site, dice: random.Random) -> list[Post]:
    """Two thirds of the workers wait in Redis, the others at the service."""
    assert running.redis is not None
    return [
        Post(
            slot=f"w{at}",
            name=f"w{at}",
            url=f"http://127.0.0.1:{running.proxies[at % len(running.proxies)].port}",
            redis_url=running.redis.url if at % 3 else None,
            key=running.key("worker"),
            home=running.home,
            seed=dice.randrange(2**31),
            long_share=order.long_share,
        )
        for at in range(order.workers)
    ]


def _until_done(
    order: Order, faults: Faults, progress: Progress, say: Callable[[str], None]
) -> None:
    began = told = time.monotonic()
    while not (progress.is_over and faults.is_over):
        if time.monotonic() - began > order.most_seconds:
            faults.problems.append(f"not over after {order.most_seconds:.0f} s")
            return
        progress.look()
        faults.keep_up(1.0 if progress.is_over else 1.05 * progress.counted / order.trials)
        if time.monotonic() - told > 10:
            told = time.monotonic()
            say(f"{told - began:4.0f} s: {progress.counted:,} trials, {_words(faults.done)}")
        time.sleep(LOOK_SECONDS)


def _outcome(
    history: History, faults: Faults, closed: Closed, seconds: float, checked: float
) -> Outcome:
    kinds = Counter(event.kind for event in history.events)
    causes = Counter(event.cause for event in history.events if event.kind == "failed")
    failed = [
        f"{count} trials count as failed, and none fails by itself: {cause}"
        for cause, count in causes.most_common()
    ]
    return Outcome(
        trials=sum(state != "cancelled" for state in history.states.values()),
        findings=check(history),
        seconds=seconds,
        checked_seconds=checked,
        faults=faults.done,
        kinds=kinds,
        refills=faults.refills,
        mebibytes=[replica.resident_mebibytes() for replica in faults.site.replicas],
        closed=closed,
        problems=[*faults.problems, *closed.problems(), *failed],
    )


def _words(done: Counter[str]) -> str:
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(done.items()))
