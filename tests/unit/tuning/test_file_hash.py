"""The hash of a file is that of what it holds, and is computed once for as long as it holds it."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from rankspace.errors import CannotOpen
from tuning.file_hash import FileHashes
from tuning.reading.text_file import MOST_BYTES

FIELD = "recipe.data.train"


def test_the_content_counts_and_neither_name_nor_time(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for file in (one, other):
        file.write_bytes(b"rows")
    os.utime(other, ns=(1, 1))
    hashes = FileHashes()
    expected = hashlib.sha256(b"rows").hexdigest()
    assert [hashes.of(FIELD, str(file)) for file in (one, other)] == [expected] * 2


def test_a_file_is_read_once_until_it_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, reads = tmp_path / "rows", [0]
    digest = hashlib.file_digest

    def counted(*given: Any) -> Any:
        reads[0] += 1
        return digest(*given)

    monkeypatch.setattr("hashlib.file_digest", counted)
    file.write_bytes(b"rows")
    hashes = FileHashes()
    first = hashes.of(FIELD, str(file))
    assert hashes.of(FIELD, str(file)) == first
    assert reads == [1]
    file.write_bytes(b"more")
    assert hashes.of(FIELD, str(file)) != first
    assert reads == [2]


def test_equal_size_and_a_time_that_was_put_back_hide_nothing(tmp_path: Path) -> None:
    file, hashes = tmp_path / "rows", FileHashes()
    file.write_bytes(b"rows")
    before, first = file.stat(), hashes.of(FIELD, str(file))
    file.write_bytes(b"swor")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hashes.of(FIELD, str(file)) == hashlib.sha256(b"swor").hexdigest() != first


def test_a_pipe_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CannotOpen, match="no regular file"):
        FileHashes().of(FIELD, str(tmp_path / "pipe"))


def test_what_is_too_large_to_be_read_is_not_hashed(tmp_path: Path) -> None:
    """A hole of a terabyte takes no room, and would keep one worker after the other."""
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(CannotOpen, match="2,147,483,649 bytes, more than"):
        FileHashes().of(FIELD, str(tmp_path / "huge"))


@pytest.mark.parametrize("name", ["absent", "a\0b"])
def test_what_cannot_be_read_names_the_field(tmp_path: Path, name: str) -> None:
    with pytest.raises(CannotOpen, match=r"recipe\.data\.train.*cannot be read") as caught:
        FileHashes().of(FIELD, str(tmp_path / name))
    assert caught.value.hint
