import threading
from dataclasses import dataclass

import pytest

from rankspace.cached import cached_property

SECONDS = 10


@dataclass(frozen=True)
class _Study:
    """Its plan waits until ``goes_on`` is set."""

    goes_on: threading.Event
    begun: threading.Event

    @cached_property
    def plan(self) -> object:
        """What there is to do."""
        self.begun.set()
        assert self.goes_on.wait(SECONDS)
        return object()


def _study(*, is_slow: bool) -> _Study:
    study = _Study(threading.Event(), threading.Event())
    if not is_slow:
        study.goes_on.set()
    return study


def test_it_is_computed_once_for_an_object() -> None:
    one, other = _study(is_slow=False), _study(is_slow=False)
    assert one.plan is one.plan
    assert one.plan is not other.plan


def test_one_object_waits_for_no_other() -> None:
    slow, quick = _study(is_slow=True), _study(is_slow=False)
    thread = threading.Thread(target=lambda: slow.plan)
    thread.start()
    assert slow.begun.wait(SECONDS)
    asked = threading.Thread(target=lambda: quick.plan)
    asked.start()
    asked.join(SECONDS / 2)
    is_done = not asked.is_alive()
    slow.goes_on.set()
    for each in (thread, asked):
        each.join()
    assert is_done


def test_an_error_is_not_kept() -> None:
    class Once:
        tries = 0

        @cached_property
        def value(self) -> int:
            self.tries += 1
            if self.tries == 1:
                raise ValueError("not yet")
            return 7

    one = Once()
    with pytest.raises(ValueError, match="not yet"):
        _ = one.value
    assert one.value == 7


def test_it_says_what_its_method_does() -> None:
    assert _Study.plan.__doc__ == "What there is to do."
