"""WorkerView: a worker as it is shown."""

from dataclasses import dataclass

from service.storage.clock import timestamp
from service.storage.tables import WorkerRow


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker and its last sign of life.

    Attributes:
        name: What it calls itself.
        project: Of the keys it came with; ``*`` for keys of all projects, or of several.
        first_seen: When it came for the first time.
        last_seen: When it was last heard of.
        quarantined_at: Since when it gets no trials.
        quarantine_reason: Why.
    """

    name: str
    project: str
    first_seen: str | None
    last_seen: str | None
    quarantined_at: str | None
    quarantine_reason: str | None


def view(row: WorkerRow) -> WorkerView:
    return WorkerView(
        name=row.name,
        project=row.project,
        first_seen=timestamp(row.first_seen),
        last_seen=timestamp(row.last_seen),
        quarantined_at=timestamp(row.quarantined_at),
        quarantine_reason=row.quarantine_reason,
    )
