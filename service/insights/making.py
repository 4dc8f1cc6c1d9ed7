"""Insights: what the model of a study says, computed where its models are."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy.orm import Session

from perfmodel import ModelState
from rankspace.wire import encode
from service.insights.calibration import known_calibration
from service.insights.found import Made
from service.insights.front import known_front
from service.insights.knowledge import Knowledge
from service.planning.study_results import Planned
from service.storage.db import Database
from service.storage.tables import StudyRow
from service.studies.repository import Studies
from service.studies.revision import learned_revision

INSIGHTS: Mapping[str, Callable[[Session, StudyRow, ModelState], Any]] = MappingProxyType(
    {"front": known_front, "calibration": known_calibration}
)


class Insights:
    """For any thread."""

    def __init__(self, database: Database, knowledge: Knowledge) -> None:
        self._database = database
        self._knowledge = knowledge

    def make(self, kind: str, study: str) -> Made[Any]:
        """Compute one of ``INSIGHTS``.

        Raises:
            NotFound: There is no such study.
            Computing: The planning has not come to the study yet.
        """
        with self._database.reading() as session:
            row = Studies(session).get(study)
            known = self._knowledge.of(session, row)
            value = INSIGHTS[kind](session, row, known.state)
            revision = learned_revision(row, known.sequence)
        return Made(revision, written(value), value)


def looking(
    database: Database, planned: Planned, plan: Callable[[str], object]
) -> Callable[[str, str], Made[Any]]:
    """What the planning process looks with: it is told of this function, and has the rest."""
    return Insights(database, Knowledge(planned, plan)).make


def written(value: Any) -> bytes:
    """``value`` as JSON, written once for all who ask; the cache adds its age where it has one."""
    text = json.dumps(encode(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()
