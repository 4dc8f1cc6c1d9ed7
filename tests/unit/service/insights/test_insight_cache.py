"""What is cheap is always fresh; what is dear is computed once for everybody, now and then."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rankspace.errors import NotFound
from service.insights.cache import PAUSES, Computing, InsightCache
from service.storage.db import Database
from tests.waiting import wait_for


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(migrated: Path, clock: Clock) -> Iterator[InsightCache]:
    database = Database(f"sqlite:///{migrated / 'rankadaptor.sqlite'}")
    cache = InsightCache(database, fresh_seconds=0.02, clock=clock)
    yield cache
    cache.close()
    database.close()


class Counter:
    """Takes ``seconds``, goes on when it may, and returns how often it was asked."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.count = self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            self.count += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            mine = self.count
        self.may_go_on.wait()
        self.clock.now += self.seconds
        with self._lock:
            self.at_once -= 1
        return mine


def test_what_is_cheap_is_computed_for_each(cache: InsightCache, clock: Clock) -> None:
    cheap = Counter(clock, 0.0)
    assert [cache.shared("page", "st", cheap) for _ in range(3)] == [1, 2, 3]


def test_what_is_dear_is_shared_and_comes_anew_after_a_pause(
    cache: InsightCache, clock: Clock
) -> None:
    dear = Counter(clock, 0.1)
    assert cache.shared("page", "st", dear) == 1
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: cache.shared("page", "st", dear), range(40))) == {1}
    clock.now += PAUSES * 0.1 - 0.01
    assert cache.shared("page", "st", dear) == 1
    assert dear.count == 1
    dear.may_go_on.clear()
    clock.now += 0.02
    assert cache.shared("page", "st", dear) == 1  # nobody waits for the next one
    dear.may_go_on.set()
    wait_for(lambda: cache.shared("page", "st", dear) == 2)
    assert (dear.count, dear.most_at_once) == (2, 1)


def test_what_cannot_be_computed_any_more_is_not_told_any_more(
    cache: InsightCache, clock: Clock
) -> None:
    gone = [False]

    def compute() -> int:
        clock.now += 0.05
        if gone[0]:
            raise NotFound("gone", hint="")
        return 1

    def is_gone() -> bool:
        try:
            return cache.shared("page", "st", compute) != 1
        except NotFound:
            return True

    assert not is_gone()
    gone[0] = True
    clock.now += 2 * PAUSES * 0.05
    wait_for(is_gone)
    assert all(is_gone() for _ in range(3))
    gone[0] = False
    assert not is_gone()


def test_studies_do_not_share(cache: InsightCache, clock: Clock) -> None:
    dear = Counter(clock, 0.1)
    assert cache.shared("page", "one", dear) == 1
    assert cache.shared("page", "two", dear) == 2


def test_the_first_of_a_long_computation_is_not_waited_for_longer_than_asked(
    cache: InsightCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    monkeypatch.setattr("service.insights.cache.known_front", lambda *_: may_go_on.wait() and None)
    with pytest.raises(Computing):
        cache.front("st", patience=0.05)
    may_go_on.set()
    assert cache.front("st", patience=60) is None


def test_a_study_that_is_not_there_is_said_not_to_be(cache: InsightCache) -> None:
    for _ in range(2):
        with pytest.raises(NotFound):
            cache.front("st_nowhere")
