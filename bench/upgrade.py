"""How long a long history takes to upgrade, and what the version before notices of it.

    python -m bench.upgrade [--trials N] [--database KIND]

Fills a database of the schema before last with finished trials, then brings it to this program's
while other connections go on with what the service of the version before does for its workers: one
writes signs of life, heartbeats and results, the others claim, which takes the tables in another
order. What the database breaks off is sent again, as a worker does; what fails after that is
counted. The longest says how long a worker waits.
SQLite is upgraded by its one service at its start, so there nobody writes meanwhile.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from alembic import command
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from service.storage import schema
from service.storage.db import Database
from tests.services import Postgres

BEFORE = "0003"
WRITES = (
    "UPDATE workers SET last_seen = last_seen + 1 WHERE name = 'w1'",
    "UPDATE trials SET lease_until = 2e9 WHERE id = :id AND token = 1 AND state = 'running'",
    "UPDATE trials SET state = 'done' WHERE id = :id AND token = 1 AND state = 'running'",
    "INSERT INTO observations (trial_id, study_id, sequence, token, score, created_at) "
    "SELECT id, study_id, id, 1, -1.0, 2.0 FROM trials WHERE id = :id",
    "INSERT INTO events (study_id, trial_id, kind, content, created_at) "
    "VALUES ('st', :id, 'done', '{\"token\": 1}', 2.0)",
)
CLAIM = (
    "SELECT id FROM studies WHERE id = 'st' FOR NO KEY UPDATE",
    "SELECT count(*) FROM (SELECT id FROM events LIMIT 1000) AS newest",
    "SELECT document FROM models WHERE id = 'md'",
)
CLAIMERS = 4
TRIES, PAUSE_SECONDS = 5, 0.05
FILL = (
    "INSERT INTO models VALUES ('md', 'f', '/model', '{}', 1.0)",
    "INSERT INTO workers VALUES ('w1', 1.0, 1.0)",
    "INSERT INTO studies (id, model_id, model_path, name, document, space, state, stage, retries, "
    "created_at) VALUES ('st', 'md', '/model', 'x', '{}', '{}', 'searching', 'searching', 0, 1.0)",
    "INSERT INTO trials (id, study_id, purpose, proposed, rank_vector, seed, steps, epochs, split, "
    "keep_adapter, priority, reason, state, token, worker, expiries, created_at) "
    "SELECT n, 'st', 'search', {false}, '[1,2,4]', 0, 10, 0, 'selection', {false}, 0, '', "
    "CASE WHEN n <= :done THEN 'done' ELSE 'running' END, 1, 'w1', 0, 1.0 FROM {numbers}",
    "INSERT INTO attempts (trial_id, token, worker, started_at, seconds, outcome) "
    "SELECT n, 1, 'w1', 1.0, 1.0, 'done' FROM {numbers}",
    "INSERT INTO observations (trial_id, study_id, sequence, token, score, created_at) "
    "SELECT n, 'st', n, 1, -1.0, 1.0 FROM {numbers} WHERE n <= :done",
    "INSERT INTO events (study_id, trial_id, kind, content, created_at) "
    "SELECT 'st', n, 'done', '{}', 1.0 FROM {numbers} WHERE n <= :done",
)
RUNNING = 2_000
"""Trials that are held while the upgrade goes on."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    options = parser.parse_args()
    with _empty(options.database) as url:
        database = Database(url)
        command.upgrade(schema.configuration(database.engine), BEFORE)
        _fill(database, options.trials)
        crowd, seconds = _upgraded(database, options.trials)
        with database.reading() as session:
            counted = session.scalar(text("SELECT count(*) FROM observations"))
        assert schema.is_current(database)
        database.close()
    print(f"broken off: {dict(crowd.errors)}")
    lost = options.trials + crowd.reports - int(counted or 0)
    print(
        f"trials={options.trials} upgrade_seconds={seconds:.1f} reports_meanwhile={crowd.reports} "
        f"claims_meanwhile={crowd.claims} longest_wait_ms={1e3 * crowd.longest:.0f} "
        f"sent_again={crowd.again} failed={crowd.failed + lost}"
    )
    sys.exit(crowd.failed + lost > 0 or (database.is_shared and not crowd.reports))


@contextmanager
def _empty(kind: str) -> Iterator[str]:
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / 'old.sqlite'}"
        return
    with Postgres() as postgres:
        yield postgres.create("old")


def _fill(database: Database, trials: int) -> None:
    most = trials + RUNNING
    series = f"(SELECT generate_series(1, {most}) AS n) AS numbers"
    if not database.is_shared:
        series = (
            f"(WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {most}) "
            "SELECT n FROM r) AS numbers"
        )
    with database.writing() as session:
        for statement in FILL:
            filled = statement.replace("{numbers}", series).replace("{false}", "false")
            session.execute(text(filled), {"done": trials} if ":done" in filled else {})


@dataclass
class Crowd:
    """What was done meanwhile: ``again`` counts what was sent more than once."""

    reports: int = 0
    claims: int = 0
    again: int = 0
    failed: int = 0
    longest: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)

    def report(self, database: Database, trials: int) -> None:
        for trial in range(trials + 1, trials + RUNNING + 1):
            if self.over.is_set():
                return
            self.reports += self._sent(database, WRITES, trial)

    def claim(self, database: Database) -> None:
        while not self.over.is_set():
            self.claims += self._sent(database, CLAIM, 0)

    def _sent(self, database: Database, statements: Sequence[str], trial: int) -> bool:
        begin = time.perf_counter()
        for _ in range(TRIES):
            try:
                _execute(database, statements, trial)
            except SQLAlchemyError as error:
                self.again += 1
                self.errors[type(getattr(error, "orig", error)).__name__] += 1
                time.sleep(PAUSE_SECONDS)
            else:
                self.longest = max(self.longest, time.perf_counter() - begin)
                return True
        self.failed += 1
        return False


def _execute(database: Database, statements: Sequence[str], trial: int) -> None:
    with database.writing() as session:
        for statement in statements:
            session.execute(text(statement), {"id": trial} if ":id" in statement else {})


def _upgraded(database: Database, trials: int) -> tuple[Crowd, float]:
    """Upgrade amid the crowd; return it and the seconds."""
    crowd = Crowd()
    threads = [threading.Thread(target=crowd.report, args=(database, trials))]
    threads += [threading.Thread(target=crowd.claim, args=(database,)) for _ in range(CLAIMERS)]
    if database.is_shared:
        for thread in threads:
            thread.start()
        time.sleep(0.5)
    begin = time.perf_counter()
    schema.upgrade(database)
    seconds = time.perf_counter() - begin
    crowd.over.set()
    for thread in threads if database.is_shared else ():
        thread.join()
    return crowd, seconds


if __name__ == "__main__":
    main()
