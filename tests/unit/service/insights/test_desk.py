"""What a desk keeps has bounds, and what somebody waits for is not dropped for them."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from service.insights import desk as module
from service.insights.desk import BYTES_OF_VALUE, KEPT, Desk
from service.insights.found import Asked, Found, Made, Rule
from service.studies.revision import Revision
from tests.waiting import PATIENCE_SECONDS

NOW = Revision(("searching",), (0,))
ASKED = Asked(NOW, at=-1.0)


@pytest.fixture
def desk() -> Iterator[Desk]:
    ticks = itertools.count()
    desk = Desk("test", Rule(1.0, 1.0, True, 0.0), lambda: float(next(ticks)))
    yield desk
    desk.close()


def made(desk: Desk, place: str, value: Any = None) -> bool:
    """Whether it had to be computed."""
    step = desk.step(place, ASKED, lambda: Made(NOW, 100 * b"x", value))
    if isinstance(step, Found):
        return False
    assert isinstance(step, Future)
    step.result(PATIENCE_SECONDS)
    return True


def test_what_is_asked_for_least_lately_goes_first(desk: Desk) -> None:
    for at in range(KEPT + 1):
        assert made(desk, f"{at}")
    assert not made(desk, "1")
    assert made(desk, "0")
    assert not made(desk, "1")
    assert made(desk, "2")


def test_a_value_counts_beside_its_body(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", 100 * (1 + BYTES_OF_VALUE))
    assert made(desk, "plain")
    assert made(desk, "other")
    assert not made(desk, "plain")
    assert made(desk, "looked at", value=NOW)
    assert not made(desk, "looked at")
    assert made(desk, "plain")


def test_what_is_being_computed_is_not_dropped_for_what_is_asked_for_since(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()

    def slow() -> Made[None]:
        may_go_on.wait()
        return Made(NOW, b"slow", None)

    coming = desk.step("slow", ASKED, slow)
    monkeypatch.setattr(module, "KEPT_BYTES", 1)
    try:
        for at in range(KEPT + 1):
            assert made(desk, f"{at}")
        assert desk.step("slow", ASKED, slow) is coming
    finally:
        may_go_on.set()
