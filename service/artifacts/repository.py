"""Queries on uploaded files."""

from collections.abc import Sequence

from sqlalchemy import Select, bindparam, delete, or_, select
from sqlalchemy.orm import Session

from rankspace import Purpose, TrialState, Verdict
from rankspace.lease import WEIGHTS
from rankspace.trial import FINISHED
from service.artifacts.store import Claimed
from service.storage.tables import ArtifactRow, AttemptRow, TrialRow

BATCH = 500

_IS_OVER = or_(
    AttemptRow.token < TrialRow.token,
    TrialRow.state.in_(FINISHED - {TrialState.DONE}),
    AttemptRow.outcome == "released",
)
_OVER = (
    select(TrialRow.study_id, TrialRow.id, AttemptRow.token)
    .join(AttemptRow, AttemptRow.trial_id == TrialRow.id)
    .where(TrialRow.id.in_(bindparam("trials", expanding=True)), _IS_OVER)
)


class Artifacts:
    """What workers uploaded. Never commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def store(self, row: ArtifactRow) -> None:
        """Add the file, or replace an earlier upload of the same name."""
        self._session.merge(row)

    def holds(self, trial: int, token: int, name: str) -> bool:
        """Whether the claim ``token`` of ``trial`` uploaded ``name``."""
        row = self._session.get(ArtifactRow, (trial, name))
        return row is not None and row.token == token

    def weights(self, trial: int) -> ArtifactRow | None:
        """What the claim that finished ``trial`` uploaded of its adapter's weights."""
        found = select(ArtifactRow).join(TrialRow, TrialRow.id == ArtifactRow.trial_id)
        mine = (ArtifactRow.trial_id == trial) & (ArtifactRow.name == WEIGHTS)
        is_its = (ArtifactRow.token == TrialRow.token) & (TrialRow.state == TrialState.DONE)
        return self._session.scalar(found.where(mine, is_its))

    def withdraw(self, trial: int, token: int) -> None:
        """Forget what the claim uploaded."""
        mine = (ArtifactRow.trial_id == trial) & (ArtifactRow.token == token)
        quiet = delete(ArtifactRow).where(mine).execution_options(synchronize_session=False)
        self._session.execute(quiet)

    def over(self, claims: Sequence[Claimed]) -> list[Claimed]:
        """Those of ``claims`` that can never come to an accepted report, and have not.

        What this database does not know is not over: another one may, as after a restored backup.
        """
        found: list[Claimed] = []
        for begin in range(0, len(claims), BATCH):
            some = claims[begin : begin + BATCH]
            rows = self._session.execute(_OVER, {"trials": [claimed.trial for claimed in some]})
            over = {Claimed(*row) for row in rows}
            found += [claimed for claimed in some if claimed in over]
        return found

    def export(
        self, study: str, verdict: Verdict | None, *, is_paired: bool
    ) -> Sequence[ArtifactRow]:
        """Files of the latest adapter, uploaded by the claim that finished.

        In an extended study it is of before until there is another. Where recoveries ``is_paired``,
        rivals keep adapters too: there it is the latest of what ``verdict`` stands for.
        """
        if verdict is None:
            return ()
        files = _FILES_OF_VECTOR if is_paired else _FILES
        given = {"vector": verdict.recovered} if is_paired else {}
        return self._session.scalars(files, {"study": study, **given}).all()


def _files(latest: Select[int]) -> Select[ArtifactRow]:
    """Files of the ``latest`` trial."""
    trial = latest.order_by(TrialRow.id.desc()).limit(1).scalar_subquery()
    return (
        select(ArtifactRow)
        .join(TrialRow, TrialRow.id == ArtifactRow.trial_id)
        .where(ArtifactRow.trial_id == trial, ArtifactRow.token == TrialRow.token)
        .order_by(ArtifactRow.name)
    )


_ADAPTERS = select(TrialRow.id).where(
    TrialRow.study_id == bindparam("study"),
    TrialRow.purpose == Purpose.RECOVER.value,
    TrialRow.state == TrialState.DONE.value,
    TrialRow.keep_adapter,
)
_FILES = _files(_ADAPTERS)
_FILES_OF_VECTOR = _files(_ADAPTERS.where(TrialRow.rank_vector == bindparam("vector")))
