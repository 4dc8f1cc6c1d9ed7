"""InsightCache: what takes long to compute is computed once, beside the requests, for all who ask.

Twenty open pages of a study with thousands of trials must not cost twenty times what one does, nor
hold up a heartbeat; and nobody may be shown what was before a write that has been answered. So
whatever was computed is shown as long as the study's revision is the same. Pages, lists and
documents are made anew after that, with a pause in between, and who asks meanwhile waits for the
next. Fronts and calibrations, which may take minutes, are shown for a while although results came
since, and whenever the next one takes longer than anybody waits; they say how old they are. Never
once the study has changed its stage.
"""

import asyncio
import json
import math
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from sqlalchemy.orm import Session

from service.insights.desk import Desk, Work
from service.insights.found import Asked, Found, Made, Rule
from service.insights.knowledge import Computing
from service.storage.db import Database
from service.studies.revision import Revision, revision_of_results

PAUSES = 20
"""How much longer than computing an insight the pause until it is computed anew."""

BREATHS, MOST_BREATH_SECONDS = 4, 2.0
"""The same for pages, and at most: somebody may be waiting for the next."""

GAPS, MOST_GAP_SECONDS = 1, 0.5
"""The same for lists and documents, which programs wait for and which take less to make."""

AGAIN_SECONDS = 0.25
"""Between two looks whether the planning has come to a study."""

PAGE, LIST, DOCUMENT = "page", "list", "document"
"""What is made of studies; a page waits a moment for their insights."""

Place: TypeAlias = tuple[str, Hashable]
Compute: TypeAlias = Callable[[Session], Made[Any]]


@dataclass(frozen=True, slots=True)
class Insight:
    """What the model of a study says.

    Attributes:
        value: None before there is anything to say.
        age_seconds: How long ago it was computed; 0 while it knows every result there is.
        body: ``value`` as JSON, with its age.
    """

    value: Any
    age_seconds: float
    body: bytes


class InsightCache:
    """Fronts, calibrations, pages and documents of studies.

    What is dear has a desk of its own, so have pages of studies, which may wait a moment for that,
    and lists and documents, which must wait for neither, nor push them out.

    Args:
        database: Where pages and documents are read from.
        make: Computes an insight of a study, by their names.
        fresh_seconds: What takes no longer is computed whenever something has changed.
        clock: Seconds.
    """

    def __init__(
        self,
        database: Database,
        make: Callable[[str, str], Made[Any]],
        fresh_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._database = database
        self._make_insight = make
        pages = Rule(BREATHS, MOST_BREATH_SECONDS, False, fresh_seconds)
        documents = Rule(GAPS, MOST_GAP_SECONDS, False, fresh_seconds)
        insights = Rule(PAUSES, math.inf, True, fresh_seconds)
        self._insights = Desk("insights", insights, clock)
        self._shared = {
            PAGE: Desk("pages", pages, clock),
            LIST: Desk("lists", documents, clock),
            DOCUMENT: Desk("documents", documents, clock),
        }

    def asked(self, look: Callable[[Session], Revision]) -> Asked:
        """Note what there is now, as ``look`` reads it; raises what that raises."""
        at = self._clock()
        with self._database.reading() as session:
            return Asked(look(session), at)

    def asked_of(self, study: str) -> Asked:
        """Note what there is of ``study`` for its insights.

        Raises:
            NotFound: There is no such study.
        """
        return self.asked(partial(revision_of_results, study=study))

    async def shared(self, kind: str, of: Hashable, asked: Asked, compute: Compute) -> bytes:
        """What ``compute`` makes, no older than the question.

        A page, list or document, the same for all who ask for it ``of`` this; waiting holds no
        thread.
        """
        desk = self._shared[kind]
        found = await self._found(desk, (kind, of), asked, partial(self._read, compute), math.inf)
        return found.made.body

    async def insight(self, kind: str, study: str, asked: Asked, patience: float) -> Insight:
        """What the model says of ``study``: one of ``INSIGHTS``; waiting holds no thread.

        Raises:
            Computing: Not within ``patience`` seconds, and there is none of this stage; it goes on
                for those who ask later.
        """
        compute = partial(self._make_insight, kind, study)
        found = await self._found(self._insights, (kind, study), asked, compute, patience)
        return _told(found, found.age(asked, self._clock()))

    def insight_now(self, kind: str, study: str, patience: float) -> Insight:
        """As ``insight``, for a thread that may wait a moment.

        Raises:
            NotFound: There is no such study.
            Computing: As ``insight`` does.
        """
        asked, place = self.asked_of(study), (kind, study)
        desk, compute = self._insights, partial(self._make_insight, kind, study)
        step = desk.step(place, asked, compute)
        found = step if isinstance(step, Found) else _within(patience, step)
        now = self._clock()
        if found is None or not desk.rule.serves(found, asked, now):
            found = desk.stand_in(place, asked)
        return _told(found, found.age(asked, now))

    def close(self) -> None:
        for desk in (self._insights, *self._shared.values()):
            desk.close()

    def _read(self, compute: Compute) -> Made[Any]:
        with self._database.reading() as session:
            return compute(session)

    async def _found(
        self, desk: Desk, place: Place, asked: Asked, work: Work, patience: float
    ) -> Found[Any]:
        """Wait for what serves ``asked``: what is there, the next, or at the latest the one after.

        A computation that is under way may have begun before the question. What was there before
        is for whom it takes too long.
        """
        deadline = self._clock() + patience
        while True:
            step = desk.step(place, asked, work)
            if isinstance(step, Found):
                return step
            left = deadline - self._clock()
            if left <= 0.0:
                return desk.stand_in(place, asked)
            if isinstance(step, float):
                await asyncio.sleep(min(step, left))
                continue
            found = await _over(step, left)
            if found is not None and desk.rule.serves(found, asked, self._clock()):
                return found


def _told(found: Found[Any], age: float) -> Insight:
    """Its age is said where it has one: never rounded to none."""
    made = found.made
    if made.value is None or not age:
        return Insight(made.value, age, made.body)
    told = json.dumps(math.ceil(10.0 * age) / 10.0).encode()
    return Insight(made.value, age, made.body[:-1] + b',"age_seconds":%s}' % told)


def _within(patience: float, coming: "Future[Found[Any]] | float") -> Found[Any] | None:
    """What came of it; None if it is not over in time, or the planning has to come first."""
    assert isinstance(coming, Future)  # insights have no pause in which nobody is answered
    try:
        return coming.result(patience)
    except (TimeoutError, Computing):
        return None


async def _over(coming: "Future[Found[Any]]", seconds: float) -> Found[Any] | None:
    """What came of it; None if it is not over in time, or the planning has to come first.

    Nobody who gives up takes it from the others.
    """
    mine = asyncio.wrap_future(coming)
    mine.add_done_callback(_forget)
    done, _ = await asyncio.wait({mine}, timeout=None if math.isinf(seconds) else seconds)
    if not done:
        return None
    try:
        return mine.result()
    except Computing:
        await asyncio.sleep(min(AGAIN_SECONDS, seconds))
        return None


def _forget(ended: "asyncio.Future[Any]") -> None:
    """Perhaps nobody waits for it any more; the log has been told of what went wrong."""
    if not ended.cancelled():
        ended.exception()
