"""Attendance: when somebody last looked after the leases.

While nobody did, workers could not renew, and that is not their fault: whoever comes back gives
all of them that time again before anything expires. It covers a restart of every replica, a machine
that was asleep, a database that was away and a clock that was set.

Whoever writes until when a lease lasts read the clock before, and a clock may be set between that
and the commit: nobody would see the lease to give the time to it, and it would be over at once. So
such a transaction lets nothing be given back until it has ended.
"""

import math

from sqlalchemy import TextClause, func, select, text, update
from sqlalchemy.orm import Session

from service.storage.clock import Now
from service.storage.db import insert_new
from service.storage.tables import AttendanceRow, table_of

ONLY = 1
_ATTENDANCE = table_of(AttendanceRow)

FENCE = select(func.coalesce(func.max(_ATTENDANCE.c.fence), 0)).scalar_subquery()
"""SQL: tokens up to here may be in the hands of workers this database knows nothing of."""

_PENDING = "hashtextextended('leases that are being written', 0)"
_WRITES = text(f"SELECT pg_advisory_xact_lock_shared({_PENDING})")
_GIVES_BACK = text(f"SELECT pg_advisory_xact_lock({_PENDING})")

_SINCE = select(Now() - AttendanceRow.at).where(AttendanceRow.id == ONLY)


def hold_grace(session: Session) -> None:
    """Let no time be given back before this transaction ends; for who writes a lease's end.

    Before it locks a trial.
    """
    _lock(session, _WRITES)


def await_leases(session: Session) -> None:
    """Wait until no transaction holds grace, and let none begin to: then every lease is seen."""
    _lock(session, _GIVES_BACK)


def _lock(session: Session, statement: TextClause) -> None:
    """Only where there are several writers at a time: SQLite has one."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(statement)


def unattended(session: Session) -> float:
    """Seconds in which nobody looked after the leases; less than none where the clock went back."""
    since = session.scalar(_SINCE)
    return math.inf if since is None else since


def attend(session: Session) -> float:
    """Note that somebody does; return what ``unattended`` would have."""
    since = session.scalar(_SINCE.with_for_update())
    if since is None:
        insert_new(session, _ATTENDANCE, id=ONLY, at=0.0, fence=0)
        since = session.scalars(_SINCE.with_for_update()).one()
    session.execute(update(_ATTENDANCE).where(_ATTENDANCE.c.id == ONLY).values(at=Now()))
    return since
