"""A backup is all there is, goes into either database, and fences who claimed after it."""

import gzip
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from rankadaptor.cli import app
from rankspace.errors import Conflict, InvalidInput
from service.storage import schema
from service.storage.backup import FENCED, backup, restore
from service.storage.db import Database
from service.storage.tables import AttemptRow, AttendanceRow, Base, TrialRow
from tests.services import Postgres
from tests.unit.service.driver import Service, holding, start

AND_BACK = pytest.mark.parametrize(
    ("directory", "empty"), [("sqlite", "postgresql"), ("postgresql", "sqlite")], indirect=True
)
"""From each database to the other: what is read knows nothing of what it is written to."""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'restored.sqlite'}"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    yield postgres.create("restored")
    postgres.drop("restored")


def _rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    kept = [t for t in Base.metadata.sorted_tables if not t.name.startswith("login_")]
    with database.reading() as session:
        return {
            t.name: [tuple(row) for row in session.execute(select(t).order_by(*t.primary_key))]
            for t in kept
            if t.name != "pulse"
        }


@AND_BACK
def test_everything_comes_back(service: Service, empty: str, tmp_path: Path) -> None:
    service.submit()
    service.work(4)
    service.sweep()
    database, file = service.app.state.runtime.database, tmp_path / "b.jsonl.gz"
    counts = backup(database, file)
    restored = Database(empty)
    assert restore(restored, file) == counts
    assert counts["observations"] == 4
    assert _rows(restored) == _rows(database)
    restored.close()


@AND_BACK
def test_a_study_goes_on_in_the_other_database(
    service: Service, empty: str, tmp_path: Path
) -> None:
    study = service.submit()
    service.work(4)
    file = tmp_path / "b.jsonl.gz"
    backup(service.app.state.runtime.database, file)
    restored = Database(empty)
    restore(restored, file)
    restored.close()
    moved = start(service.directory, database_url=empty)
    with moved.client:
        moved.work()
        assert moved.get(f"/v1/studies/{study}")["state"] == "done"


@AND_BACK
def test_who_claimed_after_the_backup_is_fenced_out(
    service: Service, empty: str, tmp_path: Path
) -> None:
    service.submit()
    service.work(2)
    held = service.claim("before")
    file = tmp_path / "b.jsonl.gz"
    backup(service.app.state.runtime.database, file)
    later = service.claim("after")
    restored = Database(empty)
    restore(restored, file)
    with restored.reading() as session:
        rows = session.scalars(select(TrialRow).where(TrialRow.state == "running")).all()
        open_attempts = session.scalars(select(AttemptRow).where(AttemptRow.outcome.is_(None)))
        assert (rows, open_attempts.all()) == ([], [])
    restored.close()
    moved = start(service.directory, database_url=empty)
    with moved.client:
        assert moved.report(held, -1.0, worker="before").status_code == 200
        again = moved.claim("after")
        assert again["trial_id"] == later["trial_id"]
        assert again["token"] > FENCED
        stale = moved.report(later, -0.5, worker="after")
        assert (stale.status_code, stale.json()["error"]) == (409, "LeaseLost")
        heartbeat = f"/v1/leases/{later['trial_id']}/heartbeat"
        assert moved.post(heartbeat, holding(later, worker="after"), "worker").status_code == 409


def test_each_restoring_fences_out_the_one_before(
    service: Service, postgres: Postgres, tmp_path: Path
) -> None:
    file, fences = tmp_path / "b.jsonl.gz", []
    backup(service.app.state.runtime.database, file)
    for name in ("first", "second"):
        restored = Database(postgres.create(name))
        schema.upgrade(restored)
        restore(restored, file)
        with restored.reading() as session:
            fences.append(session.scalars(select(AttendanceRow.fence)).one())
        restored.close()
        postgres.drop(name)
        time.sleep(0.002)
    assert fences[1] > fences[0] > FENCED


def test_a_database_with_rows_is_left_alone(service: Service, tmp_path: Path) -> None:
    service.submit()
    database, file = service.app.state.runtime.database, tmp_path / "b.jsonl.gz"
    backup(database, file)
    before = _rows(database)
    with pytest.raises(Conflict, match="has rows"):
        restore(database, file)
    assert _rows(database) == before


@AND_BACK
def test_a_file_that_is_cut_off_restores_nothing(
    service: Service, empty: str, tmp_path: Path
) -> None:
    service.submit()
    service.work(3)
    whole, cut = tmp_path / "b.jsonl.gz", tmp_path / "cut.jsonl.gz"
    backup(service.app.state.runtime.database, whole)
    cut.write_bytes(whole.read_bytes()[:-200])
    restored = Database(empty)
    with pytest.raises(InvalidInput, match="cannot be restored"):
        restore(restored, cut)
    assert restore(restored, whole)["observations"] == 3
    restored.close()


def test_a_file_of_something_else_is_refused(empty: str, tmp_path: Path) -> None:
    file = tmp_path / "other.gz"
    file.write_bytes(gzip.compress(b'{"some": "thing"}\n'))
    database = Database(empty)
    with pytest.raises(InvalidInput, match="its first line"):
        restore(database, file)
    assert schema.is_current(database)
    database.close()


def test_a_backup_is_not_written_over(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "b.jsonl.gz"
    file.write_bytes(b"precious")
    with pytest.raises(InvalidInput, match="is there already"):
        backup(service.app.state.runtime.database, file)
    assert file.read_bytes() == b"precious"


@AND_BACK
def test_the_command_says_which_keys_are_good_again_and_its_files_are_its_owner_s(
    service: Service, tmp_path: Path, empty: str
) -> None:
    lost = service.issue("viewer")["Authorization"].split("_")[1]
    url, file = service.app.state.runtime.settings.url(), tmp_path / "b.jsonl.gz"
    run = CliRunner().invoke
    assert run(app, ["db", "backup", str(file), "--database-url", url]).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    revoked = service.client.delete(f"/v1/keys/{lost}", headers=service.key("admin"))
    assert revoked.status_code == 204
    said = run(app, ["db", "restore", str(file), "--database-url", empty])
    assert said.exit_code == 0
    assert "3 keys are valid, those revoked since the backup among them" in said.stdout
    assert "rankadaptor keys list" in said.stdout
    if empty.startswith("sqlite"):
        assert stat.S_IMODE((tmp_path / "restored.sqlite").stat().st_mode) == 0o600
