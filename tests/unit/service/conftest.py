import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.service.driver import Service, start


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as the migrations and the first start leave it."""
    directory = tmp_path_factory.mktemp("migrated")
    with start(directory).client:
        pass
    return directory


@pytest.fixture
def directory(migrated: Path, tmp_path: Path) -> Path:
    """An own copy of the migrated data directory."""
    return Path(shutil.copytree(migrated, tmp_path / "data"))


@pytest.fixture
def service(directory: Path) -> Iterator[Service]:
    """A fresh service with long leases."""
    running = start(directory)
    with running.client:
        yield running


@pytest.fixture
def hasty(directory: Path) -> Iterator[Service]:
    """A fresh service whose leases last a fifth of a second."""
    running = start(directory, lease_seconds=0.2, heartbeat_seconds=0.05)
    with running.client:
        yield running
