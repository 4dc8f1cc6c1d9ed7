"""Every file can be read, and the lists of exceptions stay as short as they can be."""

import subprocess
from pathlib import Path

import pytest

from tests.unit.deploy.files import (
    CHART,
    DEPLOY,
    ROOT,
    read,
)

PLAIN = [
    path
    for path in (ROOT / "docker-compose.yml", *sorted(DEPLOY.rglob("*")))
    if path.suffix in {".yml", ".yaml", ".json"} and CHART / "templates" not in path.parents
]


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_can_be_parsed(path: Path) -> None:
    assert isinstance(read(path), dict)


def test_all_the_files_were_found() -> None:
    assert len(PLAIN) >= 8


@pytest.mark.parametrize("script", sorted(DEPLOY.glob("*.sh")), ids=lambda path: path.name)
def test_every_script_is_valid_and_executable(script: Path) -> None:
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    assert script.stat().st_mode & 0o111 == 0o111
