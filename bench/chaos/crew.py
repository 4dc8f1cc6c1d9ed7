"""Workers of the chaos run: the product's own loop, spool, heartbeat and client; trials that sleep.

They are forked from one process that has imported everything, so that hundreds can die and come
again. Some misbehave: a tenth of the reports is sent twice, half of the trials does not listen to
the heartbeat and reports whatever has become of the lease.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from bench.chaos.history import Acknowledged
from bench.sleeping import Nap, SleepingEvaluator
from rankspace import Assignment, Measurement
from rankspace.errors import CannotOpen
from rankspace.lease import Capabilities
from tuning.training import OnStep
from worker.lease.client import LeaseClient
from worker.lease.drain import Drain
from worker.lease.hints import RedisHints
from worker.lease.loop import Patience, Worker
from worker.lease.report import SpooledReport
from worker.lease.spool import Spool
from worker.logs import configure

SLICE_SECONDS = 0.05
TWICE, DEAF, LONG = 0.1, 0.5, 0.03
"""Shares of reports sent twice, of trials that do not hear of their lease, and of long trials."""

CLOSED = "closed"
"""Data that no worker can open."""

SHORT_SECONDS, LONG_SECONDS = (0.02, 0.15), 2.5


@dataclass(frozen=True, slots=True)
class Post:
    """Where a worker works.

    Attributes:
        slot: The journal and the spool are called so.
        name: Of the worker; another one in the same slot delivers what it left behind.
        url: Of the service, through a proxy.
        redis_url: Where to wait, or None.
        key: A worker's key.
        home: Directory of journals and spools.
        seed: Of its misbehaviour.
        long_share: Of its trials, those that last nearly as long as a lease.
    """

    slot: str
    name: str
    url: str
    redis_url: str | None
    key: str
    home: Path
    seed: int
    long_share: float = LONG


def nap(dice: random.Random, long_share: float) -> Nap:
    """Draw how long a trial takes, and whether it hears of its lease."""
    is_long, is_deaf = dice.random() < long_share, dice.random() < DEAF
    seconds = LONG_SECONDS if is_long else dice.uniform(*SHORT_SECONDS)
    return Nap(seconds, SLICE_SECONDS, is_deaf)


class Evaluator(SleepingEvaluator):
    """Finds the files of some studies closed to it."""

    def evaluate(
        self,
        assignment: Assignment,
        on_step: OnStep,
        adapter_directory: Path | None = None,
        kept: Path | None = None,
    ) -> Measurement:
        train = assignment.recipe.data.train
        if train == CLOSED:
            raise CannotOpen("recipe.data.train", train, "not here", fix="put the file there")
        return super().evaluate(assignment, on_step, adapter_directory, kept)


class JournalingClient(LeaseClient):
    """Notes what it was told had been accepted, before anybody acts on it."""

    def __init__(self, post: Post, dice: random.Random) -> None:
        super().__init__(post.url, post.key, post.name, attempts=2)
        self._dice = dice
        self._journal = post.home / f"{post.slot}.journal"

    def claim(self, wait_seconds: float, able: Capabilities | None = None) -> Assignment | None:
        lease = super().claim(wait_seconds, able)
        if lease is not None:
            self._note("claimed", lease.trial_id, lease.token)
        return lease

    def report(self, report: SpooledReport) -> str:
        status = super().report(report)
        if status == "accepted" and report.measurement is not None:
            self._note("accepted", report.trial_id, report.token, report.measurement.score)
        if self._dice.random() < TWICE:
            super().report(report)
        return status

    def _note(self, *entry: object) -> None:
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps([time.time(), *entry]) + "\n")


def work(post: Post) -> None:
    """Be a worker until killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log = (post.home / f"{post.slot}.log").open("a", encoding="utf-8")
    os.dup2(log.fileno(), sys.stderr.fileno())
    configure("json", "warning")
    structlog.contextvars.bind_contextvars(worker=post.name)
    dice = random.Random(post.seed)
    Worker(
        post.name,
        JournalingClient(post, dice),
        LeaseClient(post.url, post.key, post.name, attempts=1),
        Evaluator(lambda: nap(dice, post.long_share)),
        Spool(post.home / f"{post.slot}.spool"),
        drain=Drain(),
        patience=Patience(wait_seconds=2.0, away_seconds=0.3),
        hints=RedisHints(post.redis_url) if post.redis_url else None,
    ).run()


class Crew:
    """Worker processes by slot."""

    def __init__(self, posts: Sequence[Post]) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["bench.chaos.crew"])
        self.posts = {post.slot: post for post in posts}
        self.processes: dict[str, multiprocessing.process.BaseProcess] = {}
        self._generations = 0
        for slot in self.posts:
            self.start(slot)

    def start(self, slot: str) -> None:
        process = self._context.Process(target=work, args=(self.posts[slot],), daemon=True)
        process.start()
        self.processes[slot] = process

    def signal(self, slot: str, number: int) -> None:
        pid = self.processes[slot].pid
        assert pid is not None
        os.kill(pid, number)

    def kill(self, slot: str, *, same_name: bool) -> None:
        """SIGKILL, and a new process; under the same name its trial expires when it claims."""
        self.processes[slot].kill()
        self.processes[slot].join()
        if not same_name:
            self._generations += 1
            name = f"{slot}-{self._generations}"
            self.posts[slot] = replace(self.posts[slot], name=name)
        self.start(slot)

    def dead(self) -> list[str]:
        """Workers that ended by themselves; none should."""
        return [slot for slot, process in self.processes.items() if not process.is_alive()]

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.join()


def journals(home: Path) -> list[Acknowledged]:
    """What all workers were told had been accepted; a line that was cut off says nothing."""
    found = []
    for path in sorted(home.glob("*.journal")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                _, kind, trial, token, *rest = json.loads(line)
            except ValueError:
                continue  # killed while writing it
            if kind == "accepted":
                found.append(Acknowledged(trial, token, rest[0]))
    return found
