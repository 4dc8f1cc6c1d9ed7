"""A service that is away for a long time: what it costs the trials that run meanwhile.

    python -m bench.absence [--minutes 30] [--json FILE]

A real service on SQLite, and two workers that are the product's own loop, heartbeat, spool and
client around trials that sleep. The service is killed when both hold a trial, and started again
after so many minutes. One trial ends while it is away, the other goes on beyond that. The last line
is for a machine: both must have been reported under their first token, and nothing have expired.
"""

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import select

from bench.chaos.mutants import ROOT
from bench.chaos.site import Replica
from bench.chaos.work import submit
from bench.sleeping import Nap, SleepingEvaluator
from service.storage.db import Database
from service.storage.tables import EventRow
from tests.waiting import wait_for
from worker.lease.client import LeaseClient
from worker.lease.drain import Drain
from worker.lease.loop import Patience, Worker
from worker.lease.spool import Spool
from worker.logs import configure

PORTS = range(20_000, 30_000)
"""Ports nobody is given by chance, so that the service's own is still free when it comes back."""

AFTER_SECONDS = 20.0
"""How long the longer trial goes on once the service is back."""

STEPS = 10
"""Of a trial; after each it hears what has become of its lease."""


@dataclass(frozen=True, slots=True)
class Place:
    """Of one worker: its name, its service and how long its trials take."""

    name: str
    home: Path
    url: str
    key: str
    seconds: float


def work(place: Place) -> None:
    """Be a worker until killed."""
    configure("console", "error")
    Worker(
        place.name,
        LeaseClient(place.url, place.key, place.name),
        LeaseClient(place.url, place.key, place.name, attempts=1),
        SleepingEvaluator(lambda: Nap(place.seconds, place.seconds / STEPS)),
        Spool(place.home / f"{place.name}.spool"),
        drain=Drain(),
        patience=Patience(),
    ).run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="absence-") as name:
        figures = _run(Path(name), 60 * options.minutes)
    if options.json:
        options.json.write_text(json.dumps(figures), encoding="utf-8")
    print(" ".join(f"{name}={value}" for name, value in figures.items()))


def _run(home: Path, away: float) -> dict[str, float]:
    home.chmod(0o700)
    settings = {"DATA_DIRECTORY": str(home), "LOG_FORMAT": "json"}
    environment = {f"RANKADAPTOR_{name}": value for name, value in settings.items()}
    replica = Replica("service", home, environment, ROOT, random.choice(PORTS))
    replica.start()
    workers: list[multiprocessing.process.BaseProcess] = []
    try:
        wait_for(replica.is_ready, 60, pause_seconds=0.1)
        workers += _workers(replica, home, away)
        database = Database(f"sqlite:///{home / 'rankadaptor.sqlite'}", connections=2)
        wait_for(lambda: _count(database)["claimed"] == len(workers), 60)
        replica.kill()
        time.sleep(away)
        replica.start()
        back = time.monotonic()
        wait_for(lambda: _count(database)["done"] >= len(workers), 3 * AFTER_SECONDS + 60)
        return _figures(database, away, time.monotonic() - back)
    except AssertionError:
        print(replica.log.read_text(encoding="utf-8")[-3000:], file=sys.stderr)
        raise
    finally:
        for worker in workers:
            worker.kill()
        replica.kill()


def _workers(
    replica: Replica, home: Path, away: float
) -> list[multiprocessing.process.BaseProcess]:
    """One whose trial ends half-way through the absence, one whose trial outlasts it."""
    url = f"http://127.0.0.1:{replica.port}"
    secrets = {role: (home / f"{role}.key").read_text().strip() for role in ("admin", "worker")}
    with httpx.Client(
        base_url=url, headers={"Authorization": f"Bearer {secrets['admin']}"}
    ) as client:
        submit(client, 2, 1)
    context = multiprocessing.get_context("spawn")
    places = [
        Place(name, home, url, secrets["worker"], seconds)
        for name, seconds in (("ends", away / 2), ("goes-on", away + AFTER_SECONDS))
    ]
    made = [context.Process(target=work, args=(place,), daemon=True) for place in places]
    for worker in made:
        worker.start()
    return list(made)


def _count(database: Database) -> Counter[str]:
    with database.reading() as session:
        return Counter(session.scalars(select(EventRow.kind)))


def _figures(database: Database, away: float, seconds: float) -> dict[str, float]:
    counted = _count(database)
    with database.reading() as session:
        done = session.scalars(select(EventRow.content).where(EventRow.kind == "done")).all()
    database.close()
    return {
        "minutes_away": away / 60,
        "running": 2,
        "done_under_first_token": sum((content or {}).get("token") == 1 for content in done),
        "expired": counted["expired"],
        "released": counted["released"],
        "both_reported_after_s": round(seconds, 1),
    }


if __name__ == "__main__":
    main()
