"""Tab: a part of a study's pages, with an address and data of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy.orm import Session

from rankspace.errors import Unreachable
from service.insights.cache import Insight
from service.insights.knowledge import Computing
from service.runtime import Runtime
from service.storage.tables import StudyRow
from service.studies.view import StudyView

PAGE_PATIENCE_SECONDS = 0.15
"""How long a page waits for what was never computed; the next look shows it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a tab is drawn from.

    Attributes:
        runtime: Of the service.
        session: A snapshot of the database.
        row: The study.
        study: The study as the outside sees it.
        asked: What the address asks for beside, by name.
    """

    runtime: Runtime
    session: Session
    row: StudyRow
    study: StudyView
    asked: Mapping[str, str]

    def insight(self, kind: str) -> "Known":
        """What is known of ``kind`` soon enough for a page."""
        try:
            found = self.runtime.insights.insight_now(kind, self.row.id, PAGE_PATIENCE_SECONDS)
        except Computing:
            return Known()
        except Unreachable as error:  # all else on the page is known
            return Known(problem=f"{error.detail}; {error.hint}")
        return Known(found)


@dataclass(frozen=True, slots=True)
class Known:
    """An insight, or why there is none; neither while it is being computed."""

    found: Insight | None = None
    problem: str = ""

    @property
    def value(self) -> Any:
        return self.found.value if self.found else None

    @property
    def age(self) -> float:
        return self.found.age_seconds if self.found else 0.0

    @property
    def is_coming(self) -> bool:
        return self.found is None and not self.problem

    @property
    def is_whole(self) -> bool:
        """Whether it is there, and of now."""
        return self.found is not None and not self.age


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a template draws: its values, and whether nothing in them is still to come, or old."""

    values: Mapping[str, Any]
    is_whole: bool = True


def nothing_asked() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Tab:
    """Attributes: last part of its address, empty for the first; its title, template and data."""

    path: str
    title: str
    template: str
    sketch: Callable[[Look], Sketch]
