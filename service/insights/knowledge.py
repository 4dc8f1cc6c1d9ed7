"""What the performance model of a study knows now, for whoever only looks."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rankspace.study import ACTIVE, StudyState
from service.planning.study_results import ModelSnapshot, Planned, StudyResults
from service.storage.tables import ObservationRow, StudyRow

PATIENCE_SECONDS, LOOK_SECONDS = 0.5, 0.01
"""How long the planning may take to learn the latest results: who reports waits for it anyway."""

OPEN_BYTES = 256 << 20
"""What the results of studies that nobody plans may take in memory."""


class Computing(Exception):
    """What was asked for is not there yet."""


@dataclass(slots=True)
class _Opened:
    """One study's results where nobody plans it; use it under its lock."""

    lock: Lock = field(default_factory=Lock)
    results: StudyResults | None = None

    @property
    def size(self) -> int:
        results = self.results
        return 0 if results is None else results.size


class Knowledge:
    """The states of all studies' models; for any thread.

    Args:
        planned: What the planning knows; None where there is no planning in this process.
        plan: Have the planning come to a study.
    """

    def __init__(
        self, planned: Planned | None = None, plan: Callable[[str], object] | None = None
    ) -> None:
        self._planned, self._plan = planned, plan
        self._lock = Lock()
        self._opened: OrderedDict[str, _Opened] = OrderedDict()

    def of(self, session: Session, row: StudyRow) -> ModelSnapshot:
        """Return the state with every result that ``session`` sees, and the last one's number.

        A state with thousands of results is large and slow to make, so that of the planning is used
        where there is one; states do not change, so looking at it disturbs nobody.

        Raises:
            Computing: The planning has not come to the study yet. It will, and to learn the results
                here as well would take as long, and keep them twice. While a study searches its
                planning may be a few results late; what is known after that is known in full.
        """
        last = select(func.max(ObservationRow.sequence)).where(ObservationRow.study_id == row.id)
        there = int(session.scalar(last) or 0)
        known = self._caught_up(row, there) or self._own(session, row.id)
        return ModelSnapshot(min(known.sequence, there), known.state)

    def _caught_up(self, row: StudyRow, there: int) -> ModelSnapshot | None:
        """What the planning knows; None where it knows less than there is and will not learn it."""
        if self._planned is None:
            return None
        known = self._planned(row.id)
        if known is not None and known.sequence >= there:
            self._close(row.id)
            return known
        if row.state not in ACTIVE or not there:
            return None
        if self._plan is not None:
            self._plan(row.id)
        known = self._awaited(row.id, there)
        is_late = known is not None and known.sequence < there
        if known is None or (is_late and row.stage != StudyState.SEARCHING):
            raise Computing
        return known

    def _awaited(self, study: str, there: int) -> ModelSnapshot | None:
        """What the planning knows once it has learned what is there, or soon would have."""
        assert self._planned is not None
        begin, known = time.monotonic(), self._planned(study)
        while known is not None and known.sequence < there:
            if time.monotonic() - begin >= PATIENCE_SECONDS:
                break
            time.sleep(LOOK_SECONDS)
            known = self._planned(study)
        return known

    def _own(self, session: Session, study: str) -> ModelSnapshot:
        with self._lock:
            opened = self._opened.setdefault(study, _Opened())
            self._opened.move_to_end(study)
        with opened.lock:
            opened.results = opened.results or StudyResults.open(session, study)
            opened.results.catch_up(session)
            known = opened.results.known
        self._make_room()
        return known

    def _close(self, study: str) -> None:
        with self._lock:
            self._opened.pop(study, None)

    def _make_room(self) -> None:
        """Close what was looked at least lately, but for the last: it is in use."""
        with self._lock:
            sizes = {study: opened.size for study, opened in self._opened.items()}
            total = sum(sizes.values())
            for study in [*sizes][:-1]:
                if total <= OPEN_BYTES:
                    return
                total -= sizes[study]
                del self._opened[study]
