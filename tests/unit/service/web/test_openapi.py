"""Schemathesis against a real service: it does what its OpenAPI document says, and no fault."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from rankspace.study import ACTIVE, StudyState
from service.storage.tables import StudyRow
from tests.unit.service.driver import ON_POSTGRESQL, ON_SQLITE, listening, start

pytestmark = pytest.mark.soak


EXAMPLES = 6
SECONDS = 300
NOT_IN_THE_SCHEMA = "positive_data_acceptance"
"""What a schema can't say, such as that ranks increase, is asked of requests all the same."""

CHARACTERS = Path(__file__).parents[4] / ".hypothesis" / "unicode_data"
"""Hypothesis's table of them, as other tests leave it: two seconds of a core to make it anew."""

LAST_ADMIN = "/v1/keys/{key}"
"""Revoking the key that asks would end the run."""


def _know_characters(home: Path) -> None:
    """Share the table of them, and nothing else that Hypothesis keeps from run to run."""
    CHARACTERS.mkdir(parents=True, exist_ok=True)
    (home / ".hypothesis").mkdir()
    (home / ".hypothesis" / CHARACTERS.name).symlink_to(CHARACTERS)


def _schemathesis(
    url: str, key: dict[str, str], home: Path, *options: str, config: str = ""
) -> str:
    """Run it; return what it printed, and fail with that if it found anything."""
    _know_characters(home)
    (home / "schemathesis.toml").write_text(config, encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file"]
    command += [str(home / "schemathesis.toml"), "run", f"{url}/v1/openapi.json"]
    command += ["--max-examples", str(EXAMPLES), "--seed", "1", "--continue-on-failure"]
    command += ["--exclude-checks", NOT_IN_THE_SCHEMA, "--exclude-path", LAST_ADMIN]
    command += ["-H", f"Authorization: {key['Authorization']}", *options]
    ended = subprocess.run(
        command, cwd=home, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
    return ended.stdout


@ON_POSTGRESQL  # which forgives less
def test_every_route_does_what_its_description_says(directory: Path, tmp_path: Path) -> None:
    service = start(directory)
    with listening(service.app) as url:
        printed = _schemathesis(url, service.key("admin"), tmp_path)
    assert "Stateful" in printed


@ON_SQLITE
def test_a_running_study_does_too(directory: Path, tmp_path: Path) -> None:
    before = start(directory)
    with before.client:
        identity = before.submit()
        before.work(3)
    config = f'[parameters]\n"path.study" = "{identity}"\n'
    options = ["--include-path-regex", "/studies/", "--exclude-method", "DELETE"]
    options += ["--exclude-path-regex", "/(cancel|clone)", "--phases", "coverage,fuzzing"]
    service = start(directory)
    with listening(service.app) as url:
        _schemathesis(url, service.key("admin"), tmp_path, *options, config=config)
        with service.app.state.runtime.database.reading() as session:
            (row,) = session.scalars(select(StudyRow)).all()
    assert row.id == identity
    assert row.state in (*ACTIVE, StudyState.PAUSED)
