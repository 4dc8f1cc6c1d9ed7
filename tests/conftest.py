"""What holds for every test: the tests run side by side, so each computes on one core.

OpenBLAS and OpenMP start a thread for every core and let them spin; on the small matrices of the
tests that costs several times what it computes. Set before anything imports numpy, and for the
processes that tests start.
"""

import faulthandler
import gc
import os
import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
import structlog
from xdist.scheduler import LoadScopeScheduling

for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

gc.disable()
"""Until all is imported and collected, hardly any of which is garbage."""

INTEGRATION = "tests/integration"
WEIGHTS = {"integration": 1_000, "slow": 10, "postgresql": 3}
"""About what a test takes, a quick one 1: modules are begun with those that take longest."""

WHOLE = {
    *("directory", "migrated", "migrated_postgres", "postgres", "redis_of_all", "own_redis"),
    *("service", "client", "connect"),
    *("model_directory", "any_model", "prunable", "llama", "tied", "tokenizer", "stories"),
    *("evaluator", "lessons"),
}
"""Fixtures of a database, a service, a model or something trained: most of the processor time."""

LEFT_OUT = ("slow", "postgresql", "soak")
"""Marks of what `make check` does not run, beside `whole`."""

EXIT_SECONDS = 60
"""What Python is given to end once the tests have: a thread of a failed test may wait for ever."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs PostgreSQL, and begin with what takes longest: the cores end together."""
    for item in items:
        if "postgresql" in _parameters(item) or "postgres" in getattr(item, "fixturenames", ()):
            item.add_marker("postgresql")
    mark_whole(items)
    weights: Counter[str] = Counter()
    for item in items:
        weights[_module(item.nodeid)] += _weight(item)
    items.sort(key=lambda item: -weights[_module(item.nodeid)])


def mark_whole(items: Iterable[pytest.Item]) -> None:
    """Mark what uses something whole, but for the first of each module that `make check` runs."""
    begun = set[str]()
    for item in items:
        is_left_out = any(item.get_closest_marker(mark) for mark in LEFT_OUT)
        if is_left_out or WHOLE.isdisjoint(getattr(item, "fixturenames", ())):
            continue
        module = item.nodeid.partition("::")[0]
        if module in begun:
            item.add_marker("whole")
        begun.add(module)


def pytest_collection_finish() -> None:
    """Have the collector look at what tests make, not at millions of objects that stay anyway."""
    gc.freeze()
    gc.enable()


def pytest_runtest_setup() -> None:
    """Log as if nothing had been set up yet, whatever the test before did, and plainly.

    Left alone, structlog draws every local of every frame: ten seconds for one of SQLAlchemy.
    """
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.reset_defaults()
    structlog.configure(processors=[structlog.processors.add_log_level, plain])


def pytest_unconfigure() -> None:
    """Have Python end in time; a process may well wait for the tests of the others before."""
    threading.Thread(target=_end_in_time, daemon=True).start()


def _end_in_time() -> None:
    threading.main_thread().join()
    faulthandler.dump_traceback_later(EXIT_SECONDS, exit=True)


def _parameters(item: pytest.Item) -> Iterable[object]:
    call = getattr(item, "callspec", None)
    return () if call is None else call.params.values()


def _module(nodeid: str) -> str:
    """What is dealt as one: a module; the integration tests, each of which takes all cores."""
    path = nodeid.partition("::")[0]
    return INTEGRATION if path.startswith(INTEGRATION) else path


def _weight(item: pytest.Item) -> int:
    return next((weight for mark, weight in WEIGHTS.items() if item.get_closest_marker(mark)), 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal whole modules in the order they lie: what their tests share is made once."""
    if config.getoption("dist") != "loadscope":
        return None
    config.option.loadscopereorder = False
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = _module
    return scheduler
