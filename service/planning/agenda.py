"""Agenda: which studies there are to plan, and whose they are."""

import threading
from collections.abc import Mapping, Sequence

import structlog

from service.planning.news import News, outlines
from service.planning.searching import LOOK_AHEAD
from service.storage.db import Database
from service.studies.repository import Studies
from service.workers.repository import Workers

log = structlog.get_logger(__name__)


class Agenda:
    """Looks the studies up that go on by themselves; from any thread."""

    def __init__(self, database: Database, active_seconds: float) -> None:
        self._database = database
        self._active_seconds = active_seconds
        self._lock = threading.Lock()
        self._news = News()

    def active(self) -> Sequence[str]:
        """Studies that go on by themselves, oldest first."""
        with self._database.reading() as session:
            return Studies(session).active()

    def news(self) -> Sequence[str]:
        """Studies that go on by themselves and look otherwise than when this was last asked."""
        with self._database.reading() as session:
            workers = min(Workers(session).active(self._active_seconds), LOOK_AHEAD)
            found = outlines(session, workers)
        with self._lock:
            return self._news.of(found)

    def forget(self, study: str) -> None:
        """Have ``study`` be news again: its planning came to nothing."""
        with self._lock:
            self._news.forget(study)

    def forget_all(self) -> None:
        """Have every study be news again."""
        with self._lock:
            self._news = News()

    def projects(self, studies: Sequence[str]) -> Mapping[str, str]:
        """Whose they are; studies that are gone, or cannot be looked up, are left out."""
        try:
            with self._database.reading() as session:
                return Studies(session).projects(studies)
        except Exception as error:  # whatever it is, the thread that asks must live
            log.error("projects cannot be looked up", exc_info=error)
            return {}
