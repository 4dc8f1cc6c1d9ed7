"""A random tiny Llama, data for it, assignments on them, and a small service for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.unit.tiny_llama import (  # noqa: F401  # fixtures
    assign,
    description,
    imported_for_good,
    instruction_file,
    model_directory,
    one_thread,
    text_file,
    tokenizer,
)
from tests.unit.worker.fake_service import FakeService
from tests.unit.worker.starting import worker  # noqa: F401  # fixture
from worker.lease.client import LeaseClient
from worker.lease.spool import Spool
from worker.trial.evaluation import Evaluator


@pytest.fixture(scope="session")
def evaluator() -> Evaluator:
    return Evaluator(torch.device("cpu"))


@pytest.fixture
def service() -> Iterator[FakeService]:
    started = FakeService()
    yield started
    started.close()


@pytest.fixture
def client(service: FakeService) -> Iterator[LeaseClient]:
    with LeaseClient(service.url, "rka_x_secret", "w1", attempts=1) as made:
        yield made


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")
