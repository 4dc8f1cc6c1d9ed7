import errno
import os
import stat
from pathlib import Path

import pytest

from worker.private_file import private_file


def test_it_is_its_owner_s_only_whatever_a_crash_left(tmp_path: Path) -> None:
    (tmp_path / "a.tmp").write_text("a draft of yesterday, for all to read and longer")
    (tmp_path / "a.tmp").chmod(0o644)
    with private_file(tmp_path / "a.key") as file:
        file.write("secret")
    assert [path.name for path in tmp_path.iterdir()] == ["a.key"]
    assert (tmp_path / "a.key").read_text() == "secret"
    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600


def test_nothing_changes_before_all_is_written(tmp_path: Path) -> None:
    (tmp_path / "a.key").write_text("old")
    with pytest.raises(ZeroDivisionError), private_file(tmp_path / "a.key") as file:
        file.write(f"half of it, {1 // 0}")
    assert (tmp_path / "a.key").read_text() == "old"


def test_what_could_not_be_written_takes_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(OSError, match="No space"), private_file(tmp_path / "a.key") as file:
        file.write("secret")
    assert list(tmp_path.iterdir()) == []


def _full(_handle: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_no_link_leads_it_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("precious")
    (tmp_path / "a.tmp").symlink_to(tmp_path / "elsewhere")
    with private_file(tmp_path / "a.key") as file:
        file.write("secret")
    assert (tmp_path / "elsewhere").read_text() == "precious"


def test_a_directory_that_is_none_is_found_out_before_the_block(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    begun = []
    with pytest.raises(OSError, match="Not a directory"), private_file(tmp_path / "file" / "a.key"):
        begun.append(True)
    assert begun == []
