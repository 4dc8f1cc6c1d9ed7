"""One service at a time on a SQLite file; a lock that outlives nobody."""

import subprocess
import sys
from pathlib import Path

import pytest

from rankspace.errors import Conflict, InvalidInput
from service.storage.sole_server import sole_server

HOLD = """
import sys
from pathlib import Path
from service.storage.sole_server import sole_server
with sole_server(Path(sys.argv[1]), "http://127.0.0.1:1"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_told_who_is_the_first(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    with sole_server(file, "http://127.0.0.1:8731"):
        with (
            pytest.raises(Conflict, match=r"http://127\.0\.0\.1:8731, process \d+") as refused,
            sole_server(file, "http://127.0.0.1:9000"),
        ):
            pass
        assert "--data" in refused.value.hint
        with sole_server(tmp_path / "y.sqlite", "http://127.0.0.1:9000"):
            pass
    with sole_server(file, "http://127.0.0.1:9000"):
        pass


def test_a_service_that_was_killed_keeps_nobody_away(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(Conflict), sole_server(file, "http://127.0.0.1:2"):
            pass
        first.kill()
    with sole_server(file, "http://127.0.0.1:2"):
        pass


def test_where_nothing_can_be_written_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite.lock").mkdir()
    with (
        pytest.raises(InvalidInput, match=r"data_directory = .*Is a directory"),
        sole_server(tmp_path / "x.sqlite", "http://127.0.0.1:1"),
    ):
        pass


def test_a_link_to_the_file_is_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "link.sqlite").symlink_to(tmp_path / "x.sqlite")
    (tmp_path / "here").symlink_to(tmp_path)
    with sole_server(tmp_path / "x.sqlite", "http://127.0.0.1:1"):
        for name in ("link.sqlite", "here/x.sqlite"):
            with pytest.raises(Conflict), sole_server(tmp_path / name, "http://127.0.0.1:2"):
                pass
