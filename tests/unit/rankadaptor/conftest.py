import os
from collections.abc import Iterator

import pytest

from tests.unit.rankadaptor.listener import Stranger, stranger
from tests.unit.tiny_llama import (  # noqa: F401  # fixtures
    instruction_file,
    model_directory,
    text_file,
)


@pytest.fixture
def other() -> Iterator[Stranger]:
    with stranger() as heard:
        yield heard


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RANKADAPTOR_")]:
        monkeypatch.delenv(name)
