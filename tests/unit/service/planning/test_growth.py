"""A long history makes no step of the lease protocol slower: nothing reads all of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.unit.service.driver import ON_SQLITE, Service, score

pytestmark = pytest.mark.slow

GROWING = ("trials", "attempts", "observations", "events")
"""Tables with a row or more for every trial."""

FEW = (
    "(rowid=?)",
    "(trial_id=?)",
    "(trial_id=? AND token=?)",
    "(state=?)",  # only ever queued or running
    "(study_id=? AND state=?)",
    "(worker=? AND state=?)",
    "(study_id=? AND sequence>?)",
    "sqlite_autoindex_observations_1 (study_id=?)",  # the last sequence: one step into the index
)
"""What a look-up may be restricted to: it leaves a handful of rows, however long the history."""


@contextmanager
def _statements(engine: Engine) -> Iterator[dict[str, Any]]:
    """Collect what is executed, with its parameters."""
    seen: dict[str, Any] = {}

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen[statement] = parameters

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def _reads(engine: Engine, statement: str, parameters: Any) -> Iterator[str]:
    """How SQLite looks rows of the growing tables up, one line for each."""
    with engine.connect() as connection:
        for *_, detail in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
            if any(f" {table}" in f" {detail}" for table in GROWING):
                yield detail


@ON_SQLITE
def test_no_statement_of_a_cycle_reads_the_whole_history(service: Service) -> None:
    service.submit()
    service.work(2)
    engine = service.app.state.runtime.database.engine
    with _statements(engine) as seen:
        lease = service.claim()
        service.report(lease, score(lease))
        service.sweep()
    kinds = ("SELECT", "UPDATE", "DELETE")
    lines = [
        line
        for statement, parameters in seen.items()
        if statement.startswith(kinds)
        for line in _reads(engine, statement, parameters)
    ]
    assert len(lines) > 10
    assert [line for line in lines if not line.endswith(FEW)] == []
