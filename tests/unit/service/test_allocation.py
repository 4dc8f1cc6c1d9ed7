"""What is imported without looking for garbage."""

import gc
from collections.abc import Iterator

import pytest

from service.allocation import nothing_collected


@pytest.fixture
def _as_before() -> Iterator[None]:
    was_on = gc.isenabled()
    yield
    gc.enable() if was_on else gc.disable()


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("is_on", [True, False])
def test_the_collector_rests_meanwhile_and_is_then_as_it_was(is_on: bool) -> None:
    gc.enable() if is_on else gc.disable()
    made = [object()]
    with nothing_collected():
        assert not gc.isenabled()
    assert gc.isenabled() == is_on
    assert not any(one is made for one in gc.get_objects())  # it is not looked at any more
