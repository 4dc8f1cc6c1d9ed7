"""What changes a study, for the API and for the pages: written, planned, then answered."""

from collections.abc import Callable
from typing import TypeAlias

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from service.planning.queue import settle
from service.runtime import Runtime
from service.storage.db import Database
from service.storage.scope import EVERYTHING
from service.storage.tables import StudyRow
from service.studies import workflow
from service.studies.clone import Cloned, known_clone, original
from service.studies.repository import Studies
from service.studies.submission import Beside, submit

Change: TypeAlias = Callable[[Session, str], StudyRow]
Start: TypeAlias = Callable[[Database], tuple[StudyRow, bool]]


async def change_study(runtime: Runtime, study: str, change: Change) -> None:
    """Change ``study``, wake who waits for its trials, and let the planning come to it."""
    await run_in_threadpool(_write, runtime, study, change)
    runtime.doorbell.ring()
    await settle([runtime.planning.ask(study)])


async def start_study(runtime: Runtime, start: Start) -> tuple[str, bool]:
    """Start a study and let the planning come to it: its identity, and whether it is new."""
    row, is_new = await run_in_threadpool(start, runtime.database)
    await settle([runtime.planning.ask(row.id)])
    return row.id, is_new


def start_clone(database: Database, asked: Cloned, key: str | None) -> tuple[StudyRow, bool]:
    """The copy of a study, and whether it is new: ``key`` may have made it before."""
    with database.reading() as session:
        row = Studies(session).get(asked.study)
        project = row.project
        known = known_clone(session, asked, project, key)
        if known is not None:
            return known, False
        copy, need = asked.by.of(original(session, row)), row.gpu_need_gib
    origin = (asked.study, EVERYTHING) if asked.by.results else None
    return submit(database, copy, key, project, Beside(origin, asked, need))


def delete_study(runtime: Runtime, study: str) -> None:
    """Forget a study that is over, with its trials, events and files."""
    with runtime.database.writing() as session:
        workflow.delete(session, study)
    runtime.artifacts.forget(study)


def _write(runtime: Runtime, study: str, change: Change) -> None:
    with runtime.database.writing() as session:
        change(session, study)
