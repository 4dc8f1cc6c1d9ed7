"""Bars: which worker gets no trials of which study for a while, because it cannot run them.

Its files may lie elsewhere or be of no use, or the worker read them otherwise.
Another study may well run there, and this one elsewhere. The wait grows with every try; somebody
may have put the files there meanwhile.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, delete, exists, func, select, update
from sqlalchemy.orm import Session

from rankspace.trial import TrialState
from service.storage.clock import Now
from service.storage.db import insert_new
from service.storage.scope import ALL
from service.storage.tables import BarRow, StudyRow, TrialRow, WorkerRow, table_of
from service.workers.fitness import HAS_MEMORY

FIRST_SECONDS, GROWTH, LONGEST_SECONDS = 30.0, 4.0, 3600.0
"""How long a bar lasts after the first try, how much longer after each further one, at most."""

TRIES = 3
"""Tries, of one worker or of several, before a study can be called one that nobody can run."""

LATELY_SECONDS = 600.0
"""Who was seen since counts as a worker that is there."""

_BARS = table_of(BarRow)
_OF_STUDY = BarRow.study_id == bindparam("study")
_IS_KNOWN = select(BarRow.tries).where(_OF_STUDY, BarRow.worker == bindparam("worker"))

IS_BARRED = exists().where(
    BarRow.study_id == StudyRow.id, BarRow.worker == bindparam("worker"), BarRow.until > Now()
)
"""Where studies are joined: the parameter ``worker`` gets none of their trials at present."""

_IS_THERE = (
    (WorkerRow.last_seen > Now() - LATELY_SECONDS)
    & WorkerRow.quarantined_at.is_(None)
    & WorkerRow.project.in_((ALL, bindparam("project")))
    & HAS_MEMORY
)
_HAS_BAR = exists().where(_OF_STUDY, BarRow.worker == WorkerRow.name)
_OPENED = exists().where(
    TrialRow.study_id == bindparam("study"),
    TrialRow.worker == WorkerRow.name,
    TrialRow.state.in_((TrialState.RUNNING, TrialState.DONE)),
)
_TRIED = select(func.sum(BarRow.tries)).where(_OF_STUDY)
_THERE = select(func.count()).where(_IS_THERE)


class Bars:
    """All bars. Never commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def note(self, study: str, worker: str, reason: str) -> None:
        """Count a try of ``worker`` that found the files of ``study`` closed to it."""
        insert_new(self._session, _BARS, study_id=study, worker=worker, reason="", until=0.0)
        mine = (BarRow.study_id == study) & (BarRow.worker == worker)
        tries = 1 + (self._session.scalar(select(BarRow.tries).where(mine)) or 0)
        until = Now() + min(FIRST_SECONDS * GROWTH ** (tries - 1), LONGEST_SECONDS)
        counted = update(BarRow).where(mine).values(tries=tries, reason=reason, until=until)
        self._session.execute(counted.execution_options(synchronize_session=False))

    def of(self, studies: Sequence[str]) -> Mapping[str, Sequence[BarRow]]:
        """The bars of each study by worker, those that are over included: it may come again."""
        mine = select(BarRow).where(BarRow.study_id.in_(studies)).order_by(BarRow.worker)
        found = defaultdict(list)
        for bar in self._session.scalars(mine):
            found[bar.study_id].append(bar)
        return found

    def lift(self, study: str) -> None:
        """Let every worker try the study anew."""
        self._session.execute(delete(_BARS).where(_BARS.c.study_id == study))

    def lift_of(self, worker: str) -> None:
        """Let ``worker`` try every study anew."""
        self._session.execute(delete(_BARS).where(_BARS.c.worker == worker))

    def forget(self, study: str, worker: str) -> None:
        """``worker`` has opened the study's files after all."""
        mine = (_BARS.c.study_id == study) & (_BARS.c.worker == worker)
        if self._session.scalar(_IS_KNOWN, {"study": study, "worker": worker}):
            self._session.execute(delete(_BARS).where(mine))

    def leave_nobody(self, study: str, project: str) -> bool:
        """Whether most workers that are there have tried in vain, and none of the others has not.

        Workers that are busy elsewhere have not tried yet: they count as able to. Those with too
        little memory never will.
        """
        given = {"study": study, "project": project}
        if (self._session.scalar(_TRIED, given) or 0) < TRIES:
            return False
        there = self._session.scalar(_THERE, given) or 0
        barred = self._session.scalar(_THERE.where(_HAS_BAR), given) or 0
        opened = self._session.scalar(_THERE.where(~_HAS_BAR, _OPENED), given) or 0
        return 2 * barred > there and not opened
