"""A private file is its owner's alone, and there completely or not at all."""

import os
import stat
from pathlib import Path

import pytest

from service.storage.private_files import drafted


def write_private(path: Path, text: str) -> None:
    with drafted(path, text):
        pass


def test_only_the_owner_can_read_it_whatever_was_there(tmp_path: Path) -> None:
    file = tmp_path / "admin.key"
    file.write_text("old")
    file.chmod(0o644)
    before = os.umask(0)
    try:
        write_private(file, "new\n")
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == "new\n"
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "admin.key"
    write_private(file, "old\n")
    with pytest.raises(UnicodeEncodeError):
        write_private(file, f"{'a' * 1_000_000}é")
    assert file.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [file]


def test_the_draft_of_a_process_that_died_is_in_nobodys_way(tmp_path: Path) -> None:
    file, draft = tmp_path / "admin.key", tmp_path / "admin.key.part"
    draft.write_text("half")
    draft.chmod(0o644)
    write_private(file, "whole\n")
    assert file.read_text() == "whole\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    elsewhere, file = tmp_path / "elsewhere", tmp_path / "admin.key"
    elsewhere.write_text("theirs")
    file.symlink_to(elsewhere)
    write_private(file, "ours\n")
    assert elsewhere.read_text() == "theirs"
    assert not file.is_symlink()


def test_what_goes_wrong_meanwhile_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "admin.key"
    write_private(file, "old\n")
    with pytest.raises(ZeroDivisionError), drafted(file, "new\n"):
        file.write_text(f"{1 // 0}")
    assert file.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [file]
