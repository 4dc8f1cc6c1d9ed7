"""What holds for every test: the tests run side by side, so each computes on one core.

OpenBLAS and OpenMP start a thread for every core and let them spin; on the small matrices of the
tests that costs several times what it computes. Set before anything imports numpy, and for the
processes that tests start.
"""

import faulthandler
import gc
import os
from collections.abc import Iterable

import pytest

for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

gc.disable()
"""Until all is imported and collected, hardly any of which is garbage."""

EXIT_SECONDS = 60
"""What Python is given to end once the tests have: a thread of a failed test may wait for ever."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs PostgreSQL, and begin with what takes longest: the cores end together."""
    for item in items:
        if "postgresql" in _parameters(item) or "postgres" in getattr(item, "fixturenames", ()):
            item.add_marker("postgresql")
    items.sort(key=_rank)


def pytest_collection_finish() -> None:
    """Have the collector look at what tests make, not at millions of objects that stay anyway."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    faulthandler.dump_traceback_later(EXIT_SECONDS, exit=True)


def _parameters(item: pytest.Item) -> Iterable[object]:
    call = getattr(item, "callspec", None)
    return () if call is None else call.params.values()


def _rank(item: pytest.Item) -> int:
    marks = ("integration", "slow")
    return next((at for at, mark in enumerate(marks) if item.get_closest_marker(mark)), len(marks))
