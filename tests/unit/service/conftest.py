"""A migrated database per test, of either kind, and services on it."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.storage import db, schema
from service.storage.db import Database
from tests.services import Missing, Postgres, Redis, skip_or_fail
from tests.unit.service import fitted
from tests.unit.service.beginnings import BEGINNINGS
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


@pytest.fixture(autouse=True)
def _unsynced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have SQLite wait for no disk: the machine does not stop in the middle of a test."""
    if request.node.get_closest_marker("synced") is None:
        monkeypatch.setitem(db.PRAGMAS, "synchronous", "OFF")


@pytest.fixture(autouse=True)
def _fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the performance model compute the same but once."""
    fitted.share(monkeypatch)


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


_ABOVE = """
    access artifacts audit bad_input bars base_dtype browser candidates data_counts extension
    fidelity fresh full_matrices further fuzz hints inputs insights joining knowledge limits
    listings malformed metrics news origin pages paper plots prefix projects quarantine racing
    recipe_verdict recovered restart server sockets streams study_control study_results study_run
    submission surveying texts threads tracing webhooks
"""
ABOVE_THE_DATABASE = frozenset(f"test_{name}" for name in _ABOVE.split())
"""Modules whose tests are about what is done with rows, not about how they are kept."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what needs a database on both kinds, unless the test chose one itself."""
    chosen = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    is_chosen = any(name == "directory" or "directory" in name[:1] for name in chosen)
    if "directory" in metafunc.fixturenames and not is_chosen:
        is_above = metafunc.module.__name__.rpartition(".")[2] in ABOVE_THE_DATABASE
        kinds = ["sqlite"] if is_above else ["sqlite", "postgresql"]
        metafunc.parametrize("directory", kinds, indirect=True)


@pytest.fixture(scope="session")
def beginnings() -> dict[tuple[str, str], Path]:
    """Data directories in which a study has come so far, by the kind of database and how far."""
    return {}


@pytest.fixture
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An own copy of the migrated data directory and its database, or of one that has begun."""
    marked = request.node.get_closest_marker("begun")
    source, template = _begun(request, *marked.args) if marked else _migrated(request)
    name = f"test-{next(_NUMBERS)}"
    yield _copy(request, source, tmp_path / "data", name, template)
    if request.param == "postgresql":
        request.getfixturevalue("postgres").drop(name)


def _migrated(request: pytest.FixtureRequest) -> tuple[Path, str]:
    fixture = "migrated" if request.param == "sqlite" else "migrated_postgres"
    return request.getfixturevalue(fixture), TEMPLATE


def _begun(request: pytest.FixtureRequest, beginning: str) -> tuple[Path, str]:
    """The directory, worked on once in this process, and the name of its database if it has one."""
    known = request.getfixturevalue("beginnings")
    if (request.param, beginning) not in known:
        home = request.getfixturevalue("tmp_path_factory").mktemp(beginning) / "data"
        source, template = _migrated(request)
        running = start(_copy(request, source, home, beginning, template))
        with running.client:
            BEGINNINGS[beginning](running)
        known[request.param, beginning] = home
    return known[request.param, beginning], beginning


def _copy(
    request: pytest.FixtureRequest, source: Path, target: Path, name: str, template: str
) -> Path:
    directory = Path(shutil.copytree(source, target))
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        (directory / DATABASE_URL).write_text(postgres.create(name, template))
    return directory


@pytest.fixture
def service(directory: Path) -> Iterator[Service]:
    """A fresh service with long leases."""
    running = start(directory)
    with running.client:
        yield running
