"""The first keys: in their files or not at all, and never over those of another database."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from rankspace.errors import InvalidInput
from service.app import create_app, prepare
from tests.unit.service.driver import ON_SQLITE, settings, start

KEYS = ("admin.key", "worker.key")


def _keys(directory: Path) -> list[Any]:
    service = start(directory)
    with service.client:
        return list(service.get("/v1/keys")["items"])


@ON_SQLITE
@pytest.mark.parametrize("left", ["", "\n", "\0" * 60])
def test_an_empty_file_is_a_missing_one(directory: Path, left: str) -> None:
    """What a full disk or a power cut leaves."""
    worker = (directory / "worker.key").read_text()
    (directory / "admin.key").write_text(left)
    assert len(_keys(directory)) == 3
    assert (directory / "worker.key").read_text() == worker


@ON_SQLITE
def test_a_first_start_that_broke_off_is_made_good(directory: Path) -> None:
    for name in KEYS:
        (directory / name).unlink()
    assert len(_keys(directory)) == 4
    assert all((directory / name).read_text().startswith("rka_") for name in KEYS)


def _full(_handle: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_finds_no_room_is_not_issued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", _full)
        app = create_app(settings(tmp_path))
        with pytest.raises(InvalidInput, match="No space left on device") as refused:
            prepare(app.state.runtime)
        app.state.runtime.database.close()
    assert refused.value.hint == "make room there and start again"
    assert [path.name for path in tmp_path.glob("*.key*")] == []
    assert len(_keys(tmp_path)) == 2
    assert all((tmp_path / name).read_text().startswith("rka_") for name in KEYS)


@ON_SQLITE
@pytest.mark.parametrize("left", [KEYS, KEYS[:1], KEYS[1:]])
def test_keys_of_another_database_are_not_written_over(
    directory: Path, left: tuple[str, ...]
) -> None:
    (directory / "rankadaptor.sqlite").unlink()
    for name in set(KEYS) - set(left):
        (directory / name).unlink()
    kept = {name: (directory / name).read_bytes() for name in left}
    app = create_app(settings(directory))
    with pytest.raises(InvalidInput, match=" and ".join(left)) as refused:
        prepare(app.state.runtime)
    assert "move them away" in refused.value.hint
    assert {path.name: path.read_bytes() for path in directory.glob("*.key")} == kept
    for name in left:
        (directory / name).rename(directory / f"{name}.of-before")
    prepare(app.state.runtime)
    app.state.runtime.database.close()


def test_a_service_that_finds_a_key_of_another_database_says_so(directory: Path) -> None:
    """Mostly the database's address is wrong."""
    key = (directory / "admin.key").read_text()
    (directory / "admin.key").write_text(key.replace(key[4:12], "aaaaaaaa"))
    with capture_logs() as logs, start(directory).client:
        pass
    told = [line for line in logs if line["event"] == "this key is of another database"]
    assert [line["file"] for line in told] == [str(directory / "admin.key")]


def test_a_service_with_keys_of_its_own_database_says_nothing(directory: Path) -> None:
    with capture_logs() as logs, start(directory).client:
        pass
    assert [line for line in logs if "another database" in line["event"]] == []
