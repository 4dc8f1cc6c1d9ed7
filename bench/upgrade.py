"""How long a long history takes to upgrade, and what the version before notices of it.

    python -m bench.upgrade [--trials N] [--database KIND]

Fills a database of the schema before last with finished trials, then brings it to this program's
while another connection goes on with what the service of the version before writes for its workers:
sign of life, heartbeat, result. Every one must succeed; the longest says how long a worker waits.
SQLite is upgraded by its one service at its start, so there nobody writes meanwhile.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from sqlalchemy import text

from service import schema
from service.db import Database
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
        longest, reports, seconds = _upgraded(database, options.trials)
        with database.reading() as session:
            counted = session.scalar(text("SELECT count(*) FROM observations"))
        assert schema.is_current(database)
        assert counted == options.trials + reports
        database.close()
    print(
        f"trials={options.trials} upgrade_seconds={seconds:.1f} reports_meanwhile={reports} "
        f"longest_wait_ms={1e3 * longest:.0f} failed=0"
    )


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


def _upgraded(database: Database, trials: int) -> tuple[float, int, float]:
    """Upgrade; return the longest write meanwhile, results written meanwhile, and the seconds."""
    over, waits = threading.Event(), [0.0]
    writer = threading.Thread(target=_report, args=(database, trials, over, waits))
    if database.is_shared:
        writer.start()
        time.sleep(0.5)
    begin = time.perf_counter()
    schema.upgrade(database)
    seconds = time.perf_counter() - begin
    over.set()
    if database.is_shared:
        writer.join()
    return max(waits), len(waits) - 1, seconds


def _report(database: Database, trials: int, over: threading.Event, waits: list[float]) -> None:
    for trial in range(trials + 1, trials + RUNNING + 1):
        if over.is_set():
            return
        begin = time.perf_counter()
        with database.writing() as session:
            for statement in WRITES:
                session.execute(text(statement), {"id": trial} if ":id" in statement else {})
        waits.append(time.perf_counter() - begin)


if __name__ == "__main__":
    main()
