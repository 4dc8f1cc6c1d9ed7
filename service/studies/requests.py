"""Requests: what was submitted, kept also of studies that services of before schema 0012 store."""

import structlog
from sqlalchemy import select

from rankspace.errors import InvalidInput, UnsupportedVersion
from service.storage.db import Database
from service.storage.tables import StudyRow
from service.studies.repository import Studies, keep_request

log = structlog.get_logger(__name__)

_WITHOUT = select(StudyRow.id).where(StudyRow.request.is_(None))


def keep_requests(database: Database) -> None:
    """Fill in those that are missing; a study that somebody is writing to waits for another turn.

    One that cannot be read keeps nobody from the rest; its planning fails it, visibly.
    """
    with database.reading() as session:
        missing = session.scalars(_WITHOUT).all()
    for study in missing:
        try:
            _keep_request(database, study)
        except (InvalidInput, UnsupportedVersion) as error:
            log.error("study cannot be read", study=study, problem=str(error))


def _keep_request(database: Database, study: str) -> None:
    with database.writing() as session:
        studies = Studies(session)
        if studies.try_lock(study):
            keep_request(studies.locked(study))
