"""What is cheap is always fresh; what is dear is computed once for everybody, now and then."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rankspace.errors import NotFound
from service.insights.cache import PAUSES, Computing, InsightCache
from service.storage.db import Database
from tests.services import wait_for


@pytest.fixture
def cache(migrated: Path) -> Iterator[InsightCache]:
    database = Database(f"sqlite:///{migrated / 'rankadaptor.sqlite'}")
    cache = InsightCache(database, fresh_seconds=0.02)
    yield cache
    cache.close()
    database.close()


class Counter:
    """Takes ``seconds`` and returns how often it was asked."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.count = self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            self.count += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            mine = self.count
        time.sleep(self.seconds)
        with self._lock:
            self.at_once -= 1
        return mine


def test_what_is_cheap_is_computed_for_each(cache: InsightCache) -> None:
    cheap = Counter(0.0)
    assert [cache.shared("page", "st", cheap) for _ in range(3)] == [1, 2, 3]


def test_what_is_dear_is_shared_and_comes_anew_after_a_pause(cache: InsightCache) -> None:
    dear = Counter(0.1)
    assert cache.shared("page", "st", dear) == 1
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: cache.shared("page", "st", dear), range(40))) == {1}
    time.sleep(PAUSES * 0.1 + 0.2)
    began = time.monotonic()
    assert cache.shared("page", "st", dear) == 1  # nobody waits for the next one
    assert time.monotonic() - began < 0.1
    wait_for(lambda: cache.shared("page", "st", dear) == 2, 5)
    assert (dear.count, dear.most_at_once) == (2, 1)


def test_what_cannot_be_computed_any_more_is_not_told_any_more(cache: InsightCache) -> None:
    gone = [False]

    def compute() -> int:
        time.sleep(0.05)
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
    wait_for(is_gone, 5)
    assert all(is_gone() for _ in range(3))
    gone[0] = False
    assert not is_gone()


def test_studies_do_not_share(cache: InsightCache) -> None:
    dear = Counter(0.1)
    assert cache.shared("page", "one", dear) == 1
    assert cache.shared("page", "two", dear) == 2


def test_the_first_of_a_long_computation_is_not_waited_for_longer_than_asked(
    cache: InsightCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.insights.cache.known_front", lambda *_: time.sleep(0.5))
    with pytest.raises(Computing):
        cache.front("st", patience=0.05)
    assert cache.front("st", patience=5) is None


def test_a_study_that_is_not_there_is_said_not_to_be(cache: InsightCache) -> None:
    for _ in range(2):
        with pytest.raises(NotFound):
            cache.front("st_nowhere")
