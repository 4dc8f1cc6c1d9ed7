"""Finished studies of a history database, read without changing it."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from perfmodel.meta.finished import FinishedStudy
from rankspace import Context, Observation, PrunedModel, Purpose, Study
from rankspace.context import context_of
from rankspace.errors import InvalidInput, UnsupportedVersion
from rankspace.study import StudyState
from rankspace.wire import unpack
from service.models.repository import Models
from service.storage.db import Database
from service.storage.documents import model_of, space_of, study_of
from service.storage.schema import is_current
from service.storage.tables import ObservationRow, StudyRow, TrialRow


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
    address = url if "://" in url else f"sqlite:///{quote(url)}"
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
    study, space = study_of(row), space_of(row.space)
    return FinishedStudy(
        name=f"{row.name} ({row.id})",
        space=space,
        context=_stored_context(row) or context_of(model, study, space),
        observations=tuple(_observations(session, row.id, study)),
        model=model.fingerprint,
        family=family_of(model),
    )


def _stored_context(row: StudyRow) -> Context | None:
    """As it was when the study was submitted; older studies did not store it."""
    document = getattr(row, "context", None)
    return unpack(Context, json.loads(document)) if document else None


def _observations(session: Session, identity: str, study: Study) -> Iterator[Observation]:
    """Search and control trials in the order of acceptance."""
    steps = ObservationRow.measurement["steps"].as_integer()
    found = (
        select(TrialRow.rank_vector, ObservationRow.score, TrialRow.seed, steps)
        .join(TrialRow, TrialRow.id == ObservationRow.trial_id)
        .where(TrialRow.study_id == identity)
        .where(TrialRow.purpose.in_([Purpose.SEARCH.value, Purpose.CONTROL.value]))
        .order_by(ObservationRow.sequence)
    )
    for vector, score, seed, taken in session.execute(found):
        yield Observation(vector, score, seed, _fidelity(study, taken))


def _fidelity(study: Study, taken: int | None) -> float:
    """Share of the recovery's steps; a trial that failed or had nothing to train counts whole."""
    whole = study.search.trial.steps
    return min((taken or whole) / (study.recover.steps or whole), 1.0)


def family_of(model: PrunedModel) -> str:
    """Architecture, blocks and hidden width: what pruning heads and channels leaves as it was.

    Two base models of one shape count as one, so that a held-out family was never seen.
    """
    blocks = len({matrix.block for matrix in model.matrices})
    width = model.matrices[0].d_in if model.matrices else 0
    return f"{model.architecture}, {blocks} blocks, width {width}"
