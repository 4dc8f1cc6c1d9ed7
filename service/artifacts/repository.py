"""Queries on uploaded files."""

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, or_, select, true
from sqlalchemy.orm import Session

from rankspace import Purpose, TrialState, Verdict
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
        mine = TrialRow.rank_vector == verdict.recovered
        latest = (
            select(TrialRow.id)
            .where(
                TrialRow.study_id == study,
                TrialRow.purpose == Purpose.RECOVER,
                TrialRow.state == TrialState.DONE,
                TrialRow.keep_adapter,
                mine if is_paired else true(),
            )
            .order_by(TrialRow.id.desc())
            .limit(1)
            .scalar_subquery()
        )
        files = (
            select(ArtifactRow)
            .join(TrialRow, TrialRow.id == ArtifactRow.trial_id)
            .where(ArtifactRow.trial_id == latest, ArtifactRow.token == TrialRow.token)
        )
        return self._session.scalars(files.order_by(ArtifactRow.name)).all()
