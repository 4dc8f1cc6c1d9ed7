from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.service.driver import Service, start


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A fresh service with long leases."""
    running = start(tmp_path)
    with running.client:
        yield running


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Service]:
    """A fresh service whose leases last a fifth of a second."""
    running = start(tmp_path, lease_seconds=0.2, heartbeat_seconds=0.05)
    with running.client:
        yield running
