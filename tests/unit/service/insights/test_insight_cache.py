"""What is dear is computed once for everybody, and nobody gets what was before the question."""

import asyncio
import itertools
import json
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from rankspace.errors import NotFound, RankspaceError, Unreachable
from service.insights import desk as module
from service.insights.cache import MOST_BREATH_SECONDS, PAGE, Insight, InsightCache
from service.insights.desk import KEPT
from service.insights.found import Made
from service.insights.knowledge import Computing, Knowledge
from service.insights.making import Insights
from service.storage.db import Database
from service.studies.revision import Revision
from tests.waiting import PATIENCE_SECONDS, wait_for


class Clock:
    """Never shows the same time twice."""

    def __init__(self) -> None:
        self.now = 0.0
        self._ticks = itertools.count()

    def __call__(self) -> float:
        return self.now + 1e-9 * next(self._ticks)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(migrated: Path, clock: Clock) -> Iterator[InsightCache]:
    database = Database(f"sqlite:///{migrated / 'rankadaptor.sqlite'}")
    make = Insights(database, Knowledge()).make
    cache = InsightCache(database, make, fresh_seconds=0.02, clock=clock)
    yield cache
    cache.close()
    database.close()


class Study:
    """Takes ``seconds`` to draw, goes on when it may; what is drawn is what it was at first."""

    def __init__(self, cache: InsightCache, clock: Clock, seconds: float = 0.1) -> None:
        self.cache, self.clock, self.seconds = cache, clock, seconds
        self.revision = Revision(("searching",), (0,))
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.is_whole = True
        self.drawn = self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def report(self) -> None:
        (results,) = self.revision.rest
        self.revision = replace(self.revision, rest=(results + 1,))

    def end(self) -> None:
        self.revision = replace(self.revision, heads=("done",))

    def look(self, _session: Session) -> Revision:
        return self.revision

    def draw(self, _session: Session) -> Made[None]:
        seen = self.revision
        with self._lock:
            self.drawn += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.may_go_on.wait()
        self.clock.now += self.seconds
        with self._lock:
            self.at_once -= 1
        return Made(seen, repr(seen).encode(), None, self.is_whole)

    async def shown(self, of: str = "st") -> bool:
        """Whether what is shown is no older than this question."""
        asked = self.cache.asked(self.look)
        known = [repr(asked.revision).encode(), repr(self.revision).encode()]
        return await self.cache.shared(PAGE, of, asked, self.draw) in known


@pytest.fixture
def study(cache: InsightCache, clock: Clock) -> Study:
    return Study(cache, clock)


def run(question: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(question, PATIENCE_SECONDS))


def test_what_has_not_changed_is_drawn_once(study: Study) -> None:
    async def ask() -> list[bool]:
        return await asyncio.gather(*(study.shown() for _ in range(40)))

    assert all(run(ask()))
    study.clock.now += 1e6
    assert run(study.shown())
    assert (study.drawn, study.most_at_once) == (1, 1)


def test_what_is_cheap_is_drawn_for_every_change_at_once(study: Study) -> None:
    study.seconds = 0.0
    for _ in range(3):
        assert run(study.shown())
        study.report()
    assert study.drawn == 3


def test_whoever_asks_in_the_pause_waits_for_one_next_drawing(study: Study) -> None:
    async def ask() -> None:
        assert await study.shown()
        study.report()
        waiting = [asyncio.create_task(study.shown()) for _ in range(20)]
        await asyncio.sleep(0.05)
        assert study.drawn == 1
        assert not any(one.done() for one in waiting)
        study.clock.now += MOST_BREATH_SECONDS
        assert all(await asyncio.gather(*waiting))

    run(ask())
    assert (study.drawn, study.most_at_once) == (2, 1)


def test_nobody_waits_for_the_pause_once_the_stage_is_another(study: Study) -> None:
    assert run(study.shown())
    study.end()
    assert run(study.shown())
    assert study.drawn == 2


def test_a_drawing_that_began_before_the_question_is_not_its_answer(study: Study) -> None:
    async def ask() -> None:
        study.may_go_on.clear()
        first = asyncio.create_task(study.shown())
        await asyncio.to_thread(wait_for, lambda: study.drawn == 1)
        study.end()
        second = asyncio.create_task(study.shown())
        await asyncio.sleep(0.05)
        study.may_go_on.set()
        assert await second
        await first

    run(ask())
    assert study.drawn == 2


def test_half_a_drawing_is_drawn_anew_though_nothing_has_changed(study: Study) -> None:
    study.is_whole = False
    assert run(study.shown())
    assert run(study.shown())
    assert study.drawn == 1
    study.is_whole = True
    study.clock.now += MOST_BREATH_SECONDS
    for _ in range(3):
        assert run(study.shown())
    assert study.drawn == 2


def test_who_gives_up_waiting_takes_nothing_from_the_others(study: Study) -> None:
    async def ask() -> None:
        study.may_go_on.clear()
        one, other = (asyncio.create_task(study.shown()) for _ in range(2))
        await asyncio.to_thread(wait_for, lambda: study.drawn == 1)
        one.cancel()
        await asyncio.sleep(0.05)
        study.may_go_on.set()
        assert await other

    run(ask())
    assert study.drawn == 1


def test_what_cannot_be_drawn_any_more_is_not_shown_any_more(study: Study) -> None:
    def gone(_session: Session) -> Made[None]:
        raise NotFound("gone", hint="")

    assert run(study.shown())
    study.report()
    study.clock.now += MOST_BREATH_SECONDS
    asked = study.cache.asked(study.look)
    for _ in range(2):
        with pytest.raises(NotFound):
            run(study.cache.shared(PAGE, "st", asked, gone))
    assert run(study.shown())


def test_studies_do_not_share(study: Study) -> None:
    assert run(study.shown("one"))
    assert run(study.shown("two"))
    assert study.drawn == 2


def test_so_many_are_kept_and_so_many_bytes_of_them(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(KEPT + 1):
        run(study.shown(f"{at}"))
    run(study.shown(f"{KEPT}"))
    assert study.drawn == KEPT + 1
    run(study.shown("0"))  # was dropped
    assert study.drawn == KEPT + 2
    monkeypatch.setattr(module, "KEPT_BYTES", 100)
    run(study.shown("new"))
    run(study.shown("new"))
    assert study.drawn == KEPT + 3
    run(study.shown(f"{KEPT}"))
    assert study.drawn == KEPT + 4


def test_a_study_that_is_not_there_is_said_not_to_be(cache: InsightCache) -> None:
    for _ in range(2):
        with pytest.raises(NotFound):
            cache.insight_now("front", "st_nowhere", 60.0)


class Model:
    """Its front says which results it knows, and takes as long as it is held up."""

    def __init__(self) -> None:
        self.revision = Revision(("searching",), (0,))
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.problem: Exception | None = None

    def make(self, _kind: str, _study: str) -> Made[Any]:
        seen = self.revision
        self.may_go_on.wait()
        if self.problem is not None:
            raise self.problem
        return Made(seen, b'{"a":1}', seen)


@pytest.fixture
def model() -> Iterator[Model]:
    model = Model()
    yield model
    model.may_go_on.set()


class Asker:
    """Asks for the front of one study, whose results are the model's."""

    def __init__(self, cache: InsightCache, clock: Clock, model: Model) -> None:
        self.cache, self.clock, self.model = cache, clock, model

    def report(self) -> None:
        """There is a result more, and the pause after the last front is over."""
        (results,) = self.model.revision.rest
        self.model.revision = replace(self.model.revision, rest=(results + 1,))
        self.clock.now += 100.0

    def over_rest(self, patience: float) -> Insight:
        asked = self.cache.asked(lambda _: self.model.revision)
        found: Insight = run(self.cache.insight("front", "st", asked, patience))
        return found

    def on_a_page(self) -> Insight:
        return self.cache.insight_now("front", "st", 0.05)


@pytest.fixture
def asker(
    cache: InsightCache, clock: Clock, model: Model, monkeypatch: pytest.MonkeyPatch
) -> Asker:
    monkeypatch.setattr(cache, "_make_insight", model.make)
    monkeypatch.setattr(cache, "asked_of", lambda _: cache.asked(lambda _: model.revision))
    return Asker(cache, clock, model)


def test_while_the_next_insight_is_computed_the_last_one_is_shown_with_its_age(
    asker: Asker,
) -> None:
    first = asker.over_rest(60.0)
    assert (first.age_seconds, first.body) == (0.0, b'{"a":1}')
    asker.report()
    asker.model.may_go_on.clear()
    for found in (asker.on_a_page(), asker.over_rest(0.0)):
        assert found.value == first.value
        assert found.age_seconds == pytest.approx(100.0)
        assert json.loads(found.body) == {"a": 1, "age_seconds": pytest.approx(100.0, abs=0.1)}
    asker.model.may_go_on.set()
    found = asker.over_rest(60.0)
    assert (found.value, found.age_seconds) == (asker.model.revision, 0.0)


def test_no_insight_of_an_earlier_stage_is_shown_however_long_the_next_one_takes(
    asker: Asker,
) -> None:
    asker.over_rest(60.0)
    asker.model.revision = replace(asker.model.revision, heads=("verifying",))
    asker.model.may_go_on.clear()
    with pytest.raises(Computing):
        asker.on_a_page()
    with pytest.raises(Computing):
        asker.over_rest(0.0)


@pytest.mark.parametrize("problem", [Computing(), Unreachable("it has ended", hint="ask again")])
def test_what_cannot_be_computed_for_the_moment_is_kept(asker: Asker, problem: Exception) -> None:
    first = asker.over_rest(60.0)
    asker.report()
    asker.model.problem = problem
    if isinstance(problem, RankspaceError):
        with pytest.raises(Unreachable):
            asker.on_a_page()
        asker.model.problem = Computing()
    assert asker.on_a_page().value == first.value


def test_the_log_says_why_an_insight_cannot_be_computed(asker: Asker) -> None:
    asker.model.problem = Unreachable("it has ended", hint="ask again")
    with capture_logs() as said:
        with pytest.raises(Unreachable):
            asker.over_rest(60.0)
        wait_for(lambda: said)
    assert [(one["log_level"], one["reason"]) for one in said] == [("warning", "it has ended")]


def test_lists_push_no_insight_out(asker: Asker, study: Study) -> None:
    first = asker.over_rest(60.0)
    asker.report()
    for at in range(KEPT + 1):
        run(study.shown(f"{at}"))
    asker.model.problem = Computing()
    assert asker.on_a_page().value == first.value
