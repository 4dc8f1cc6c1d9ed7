"""What `make check` leaves out of what uses a service, a database or a model."""

import re
from pathlib import Path

import pytest

from tests.conftest import WHOLE, mark_whole

TESTS = Path(__file__).parents[1]
FIXTURE = re.compile(r"^@pytest\.fixture.*\ndef (\w+)", re.MULTILINE)


def test_every_fixture_that_counts_as_whole_is_there() -> None:
    sources = (path.read_text() for path in TESTS.rglob("*.py"))
    assert {name for source in sources for name in FIXTURE.findall(source)} >= WHOLE


def test_of_a_module_the_first_is_run_that_nothing_else_leaves_out(
    request: pytest.FixtureRequest,
) -> None:
    def plain() -> None: ...

    @pytest.mark.slow
    def slow(service: object) -> None: ...

    def first(service: object) -> None: ...

    def second(model_directory: object) -> None: ...

    items = [
        pytest.Function.from_parent(request.node.parent, name=test.__name__, callobj=test)
        for test in (plain, slow, first, second)
    ]
    mark_whole(items)
    assert [item.name for item in items if item.get_closest_marker("whole")] == ["second"]
