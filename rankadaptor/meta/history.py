"""Finished studies of a history database, read without changing it."""

from pathlib import Path

from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from perfmodel.meta.finished import FinishedStudy
from rankspace import PrunedModel, Purpose
from rankspace.context import context_of
from rankspace.errors import InvalidInput, UnsupportedVersion
from rankspace.study import StudyState
from service.db import Database
from service.documents import model_of, space_of, study_of
from service.models.repository import Models
from service.schema import is_current
from service.stages.basis import read_basis
from service.tables import StudyRow


def finished_studies(url: str) -> tuple[FinishedStudy, ...]:
    """Read every study in state done, oldest first: its search and control trials.

    Args:
        url: Of the database, as SQLAlchemy writes it; or the path of a SQLite file.

    Raises:
        InvalidInput: There is no such database.
        UnsupportedVersion: Its schema is another program's.
    """
    database = _open(url)
    try:
        with database.reading() as session:
            done = select(StudyRow).where(StudyRow.state == StudyState.DONE.value)
            rows = session.scalars(done.order_by(StudyRow.created_at, StudyRow.id)).all()
            return tuple(_finished(session, row) for row in rows)
    finally:
        database.close()


def _open(url: str) -> Database:
    address = url if "://" in url else f"sqlite:///{url}"
    try:
        file = make_url(address)
        if file.drivername.startswith("sqlite") and not Path(file.database or "").is_file():
            raise InvalidInput("database", url, "there is no such file", fix="give the service's")
        database = Database(address)
        current = is_current(database)
    except SQLAlchemyError as error:
        problem = str(error).strip().splitlines()[0]
        raise InvalidInput("database", url, problem, fix="check the address") from None
    if not current:
        database.close()
        raise UnsupportedVersion(
            f"database {url} has another schema than this program's",
            hint="start this version's rankadaptor serve on it once: it migrates",
        )
    return database


def _finished(session: Session, row: StudyRow) -> FinishedStudy:
    model = model_of(Models(session).get(row.model_id).document)
    study, space = study_of(row.document), space_of(row.space)
    basis = read_basis(session, row.id, active_seconds=0.0)
    accepted = (*basis.accepted(Purpose.SEARCH), *basis.accepted(Purpose.CONTROL))
    return FinishedStudy(
        name=f"{row.name} ({row.id})",
        space=space,
        context=context_of(model, study, space),
        observations=tuple(trial.observation() for trial in accepted),
        model=model.fingerprint,
        family=family_of(model),
    )


def family_of(model: PrunedModel) -> str:
    """Architecture, blocks and hidden width: what pruning heads and channels leaves as it was.

    Two base models of one shape count as one, so that a held-out family was never seen.
    """
    blocks = len({matrix.block for matrix in model.matrices})
    width = model.matrices[0].d_in if model.matrices else 0
    return f"{model.architecture}, {blocks} blocks, width {width}"
