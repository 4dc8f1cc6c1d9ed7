"""Backups: every row of every table as lines of JSON, the same for either kind of database.

The first line says which schema the rows are of. A backup is one consistent snapshot, taken while
the service goes on; restoring one fences every worker that claimed after it was taken, and moving
from SQLite to PostgreSQL is restoring a backup of the one into the other. The files workers
uploaded lie in the data directory and are copied with the tools for files.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from sqlalchemy import BigInteger, Integer, Table, func, insert, select, text, update
from sqlalchemy.orm import Session

from rankspace import RankVector, TrialState
from rankspace.errors import Conflict, InvalidInput, UnsupportedVersion
from service.storage import schema
from service.storage.attempts import end_attempts
from service.storage.attendance import ONLY
from service.storage.clock import Now
from service.storage.db import Database
from service.storage.tables import (
    AttemptRow,
    AttendanceRow,
    Base,
    FitRow,
    JoinTokenRow,
    LoginCodeRow,
    LoginSessionRow,
    TrialRow,
    table_of,
)

FORMAT = 1
BATCH = 1_000
FENCED = 1_000_000
"""More claims than anybody makes of one trial after a backup."""

MILLISECONDS = 1_000
"""Fences rise with the clock as well: the same backup may be restored more than once."""

_LEFT_OUT = {table_of(row) for row in (LoginCodeRow, LoginSessionRow, JoinTokenRow, FitRow)}
"""Good for minutes or hours, and secrets; a join token that was used up must not come back. Fits
are derived."""


def backup(database: Database, path: Path) -> dict[str, int]:
    """Write a gzipped backup that is there completely or not at all; return rows per table.

    Raises:
        InvalidInput: ``path`` is there already.
        UnsupportedVersion: The database has another schema than this program's.
    """
    schema.check(database)
    if path.exists():
        raise InvalidInput("file", str(path), "is there already", fix="choose another name")
    draft = path.with_name(f"{path.name}.part")
    try:
        with gzip.open(draft, "wt", encoding="utf-8") as file, database.reading() as session:
            head = {"rankadaptor_backup": FORMAT, "schema": schema.revision(database)}
            _write(file, head)
            counts = {table.name: _dump(session, table, file) for table in _tables()}
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return counts


def restore(database: Database, path: Path) -> dict[str, int]:
    """Fill an empty database; return rows per table.

    Trials that ran are queued again, and no token that was ever given out will be good.

    Raises:
        InvalidInput: The file is no backup.
        UnsupportedVersion: It is of another schema.
        Conflict: The database is not empty.
    """
    schema.upgrade(database)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = _lines(file, path)
        _check_head(next(lines, {}), schema.revision(database), path)
        with database.writing() as session:
            _check_empty(session)
            counts = _fill(session, lines)
            _number_on(session)
            _fence(session)
    return counts


def _tables() -> tuple[Table, ...]:
    """Those that are backed up, each after the ones it refers to."""
    return tuple(table for table in Base.metadata.sorted_tables if table not in _LEFT_OUT)


def _dump(session: Session, table: Table, file: TextIO) -> int:
    count = 0
    rows = session.execute(
        select(table).order_by(*table.primary_key).execution_options(yield_per=BATCH)
    )
    for row in rows.mappings():
        _write(file, {"table": table.name, "row": {k: _plain(v) for k, v in row.items()}})
        count += 1
    return count


def _plain(value: Any) -> Any:
    return list(value.ranks) if isinstance(value, RankVector) else value


def _write(file: TextIO, line: Any) -> None:
    file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def _lines(file: TextIO, path: Path) -> Iterator[dict[str, Any]]:
    try:
        for line in file:
            yield json.loads(line)
    except (ValueError, OSError, EOFError) as error:
        raise _no_backup(path, str(error)) from error


def _check_head(head: dict[str, Any], revision: str | None, path: Path) -> None:
    if head.get("rankadaptor_backup") != FORMAT:
        raise _no_backup(path, "its first line is not a backup's")
    if head["schema"] != revision:
        raise UnsupportedVersion(
            f"the backup has schema {head['schema']}, this program {revision}",
            hint="restore it with the version that wrote it, then run: rankadaptor db upgrade",
        )


def _no_backup(path: Path, why: str) -> InvalidInput:
    fix = "give a file that rankadaptor db backup wrote"
    return InvalidInput("file", str(path), f"cannot be restored: {why}", fix=fix)


def _check_empty(session: Session) -> None:
    for table in _tables():
        if session.execute(select(1).select_from(table).limit(1)).first():
            hint = "restore into a new database"
            raise Conflict(f"the database has rows in {table.name!r}", hint=hint)


def _fill(session: Session, lines: Iterator[dict[str, Any]]) -> dict[str, int]:
    tables = {table.name: table for table in _tables()}
    counts = dict.fromkeys(tables, 0)
    batch: list[dict[str, Any]] = []
    current: Table | None = None
    for line in lines:
        table = tables[line["table"]]
        if current is not None and (table is not current or len(batch) >= BATCH):
            session.execute(insert(current), batch)
            batch = []
        current = table
        batch.append(_typed(line["row"]))
        counts[table.name] += 1
    if current is not None and batch:
        session.execute(insert(current), batch)
    return counts


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    vector = row.get("rank_vector")
    return row if vector is None else {**row, "rank_vector": RankVector(tuple(vector))}


def _number_on(session: Session) -> None:
    """PostgreSQL's counters know nothing of rows that brought their number along."""
    if session.get_bind().dialect.name != "postgresql":
        return
    for table in _tables():
        if "id" in table.c and isinstance(table.c.id.type, BigInteger | Integer):
            _number_table_on(session, table.name)


def _number_table_on(session: Session, table: str) -> None:
    counter = session.scalar(text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": table})
    if counter is not None:
        last = text(f"SELECT setval(:counter, coalesce(max(id), 0) + 1, false) FROM {table}")
        session.execute(last, {"counter": counter})


def _fence(session: Session) -> None:
    attendance = table_of(AttendanceRow)
    highest = select(func.coalesce(func.max(TrialRow.token), 0))
    known = max(int(session.scalar(highest) or 0), _old_fence(session))
    fence = max(known + FENCED, int(MILLISECONDS * session.scalars(select(Now())).one()))
    session.execute(attendance.delete())
    session.execute(insert(attendance), {"id": ONLY, "at": 0.0, "fence": fence})
    running = TrialRow.state == TrialState.RUNNING.value
    queued = {"state": TrialState.QUEUED.value, "worker": None, "lease_until": None}
    end_attempts(session, "expired", AttemptRow.outcome.is_(None))
    session.execute(update(TrialRow).where(running).values(**queued))


def _old_fence(session: Session) -> int:
    return int(session.scalar(select(func.max(AttendanceRow.fence))) or 0)
