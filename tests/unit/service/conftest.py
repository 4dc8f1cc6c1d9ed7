"""A migrated database per test, of either kind, and services on it."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from service.storage import schema
from service.storage.db import Database
from tests.services import Missing, Postgres, Redis, skip_or_fail
from tests.unit.service.driver import DATABASE_URL, Service, start

TEMPLATE = "migrated"
_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as the migrations and the first start leave it."""
    directory = tmp_path_factory.mktemp("migrated")
    with start(directory).client:
        pass
    return directory


@pytest.fixture(scope="session", autouse=True)
def _plain_traces() -> None:
    """Left alone, structlog draws every local of every frame: ten seconds for one of SQLAlchemy."""
    trace = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, trace])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    try:
        server = Postgres(syncs=False)
    except Missing as missing:
        skip_or_fail(missing)
    with server:
        yield server


def _redis() -> Redis:
    try:
        return Redis()
    except Missing as missing:
        skip_or_fail(missing)
        raise


@pytest.fixture(scope="session")
def redis_of_all() -> Iterator[Redis]:
    with _redis() as server:
        yield server


@pytest.fixture
def redis(redis_of_all: Redis) -> Redis:
    """An empty Redis, that of the other tests of this process: not to be stopped."""
    redis_of_all.flush()
    return redis_of_all


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """A Redis to be stopped."""
    with _redis() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same on PostgreSQL: the database called ``TEMPLATE`` is there to be copied."""
    directory = tmp_path_factory.mktemp("migrated-postgres")
    (directory / DATABASE_URL).write_text(postgres.create(TEMPLATE))
    database = Database(postgres.url(TEMPLATE))
    schema.upgrade(database)
    database.close()
    with start(directory).client:
        pass
    return directory


_ABOVE = (
    *("audit", "limits", "insights", "knowledge", "racing", "hints", "webhooks", "tracing"),
    *("study_control", "study_results", "study_run", "restart", "quarantine"),
    *("origin", "extension", "full_matrices", "data_counts", "inputs", "fresh", "metrics"),
    *("bad_input", "browser", "fuzz", "pages", "plots", "prefix", "server", "sockets", "malformed"),
)
ABOVE_THE_DATABASE = frozenset(f"test_{name}" for name in _ABOVE)
"""Modules whose tests are about what is done with rows, not about how they are kept."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what needs a database on both kinds, unless the test chose one itself."""
    chosen = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "directory" in metafunc.fixturenames and "directory" not in chosen:
        is_above = metafunc.module.__name__.rpartition(".")[2] in ABOVE_THE_DATABASE
        kinds = ["sqlite"] if is_above else ["sqlite", "postgresql"]
        metafunc.parametrize("directory", kinds, indirect=True)


@pytest.fixture
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An own copy of the migrated data directory and its database."""
    if request.param == "sqlite":
        yield Path(shutil.copytree(request.getfixturevalue("migrated"), tmp_path / "data"))
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    source: Path = request.getfixturevalue("migrated_postgres")
    directory = Path(shutil.copytree(source, tmp_path / "data"))
    name = f"test-{next(_NUMBERS)}"
    (directory / DATABASE_URL).write_text(postgres.create(name, TEMPLATE))
    yield directory
    postgres.drop(name)


@pytest.fixture
def service(directory: Path) -> Iterator[Service]:
    """A fresh service with long leases."""
    running = start(directory)
    with running.client:
        yield running
