"""Queries on uploaded files."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from rankspace import Purpose, TrialState
from service.storage.tables import ArtifactRow, TrialRow


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

    def export(self, study: str) -> Sequence[ArtifactRow]:
        """Files of the study's latest successful recovery, uploaded by the claim that finished."""
        latest = (
            select(TrialRow.id)
            .where(
                TrialRow.study_id == study,
                TrialRow.purpose == Purpose.RECOVER,
                TrialRow.state == TrialState.DONE,
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
