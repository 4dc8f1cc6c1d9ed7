"""Pulse: when somebody last looked after the leases.

While nobody did, workers could not renew, and that is not their fault: whoever comes back gives
all of them a full lease before anything expires. It covers a restart of every replica, a machine
that was asleep and a database that was away.
"""

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service.clock import Now
from service.tables import PulseRow, table_of
from service.upsert import insert_new

ONLY = 1
_PULSES = table_of(PulseRow)

FENCE = select(func.coalesce(func.max(_PULSES.c.fence), 0)).scalar_subquery()
"""SQL: tokens up to here may be in the hands of workers this database knows nothing of."""

_SINCE = select(Now() - PulseRow.at).where(PulseRow.id == ONLY).with_for_update()


def beat(session: Session) -> float:
    """Note that somebody looks after the leases; return the seconds in which nobody did."""
    since = session.scalar(_SINCE)
    if since is None:
        insert_new(session, _PULSES, id=ONLY, at=0.0, fence=0)
        since = session.scalars(_SINCE).one()
    session.execute(update(_PULSES).where(_PULSES.c.id == ONLY).values(at=Now()))
    return since
