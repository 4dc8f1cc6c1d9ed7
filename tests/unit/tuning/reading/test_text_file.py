"""What a file is that is no UTF-8 text, and what is made of one that is."""

import bz2
import gzip
import json
import lzma
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest

from rankspace.errors import CannotOpen, InvalidInput
from tuning.reading import text_file
from tuning.reading.text_file import decode, holds_at_most, read_text_file

ROWS = "".join(json.dumps({"instruction": "a", "output": f"{i}"}) + "\n" for i in range(300))
PATH = Path("/data/rows.jsonl")


def _zip(path: Path) -> bytes:
    with zipfile.ZipFile(path / "z.zip", "w") as archive:
        archive.writestr("rows.jsonl", ROWS)
    return (path / "z.zip").read_bytes()


KINDS = {
    "gzip": (gzip.compress(ROWS.encode()), "compressed (gzip)", "gunzip -c rows.jsonl >"),
    "xz": (lzma.compress(ROWS.encode()), "compressed (xz)", "xz -dc rows.jsonl >"),
    "bzip2": (bz2.compress(ROWS.encode()), "compressed (bzip2)", "bzip2 -dc"),
    "bzip2 of level 1": (bz2.compress(ROWS.encode(), 1), "compressed (bzip2)", "bzip2 -dc"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x58", "compressed (zstd)", "zstd -dc"),
    "parquet": (b"PAR1\x15\x04\x15\x80\xa0\xffPAR1", "a Parquet file", "pandas.read_parquet"),
    "arrow": (b"ARROW1\0\0\xff\xff", "an Arrow file", "pandas.read_feather"),
    "arrow stream": (b"\xff\xff\xff\xff\x08\1", "an Arrow stream", "datasets.Dataset.from_file"),
    "pickle": (pickle.dumps([1]), "is a pickle", "save it as text"),
    "UTF-16": (ROWS.encode("utf-16"), "is UTF-16", "iconv -f UTF-16 -t UTF-8 rows.jsonl >"),
    "UTF-16, most significant first": (b"\xfe\xff\0{", "is UTF-16", "iconv -f UTF-16 "),
    "UTF-16 without a mark": (ROWS.encode("utf-16-le"), "NUL byte", "iconv -f UTF-16LE"),
    "the other UTF-16 without a mark": (ROWS.encode("utf-16-be"), "NUL byte", "iconv -f UTF-16BE"),
    "UTF-32": (ROWS.encode("utf-32"), "is UTF-32", "iconv -f UTF-32 "),
    "no text": (b"\x7fELF\2\1\1\0", "NUL byte", "if it is UTF-16"),
    "Latin-1": ("caf\xe9".encode("latin-1"), "not UTF-8 at byte 3", "iconv -f ISO-8859-1"),
    "an encoded surrogate": (b"ok \xed\xa0\xbd", "not UTF-8 at byte 3", "or from what it is"),
}


@pytest.mark.parametrize(("content", "problem", "fix"), KINDS.values(), ids=KINDS)
def test_what_is_no_utf_8_is_named_with_the_way_out(content: bytes, problem: str, fix: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode("recipe.data.train", PATH, content)
    assert problem in caught.value.problem
    assert fix in caught.value.hint


def test_a_zip_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="zip archive"):
        decode("recipe.data.train", PATH, _zip(tmp_path))


def test_an_odd_name_is_quoted_for_the_shell() -> None:
    with pytest.raises(InvalidInput) as caught:
        decode("f", Path("/data/my rows; rm.gz"), b"\x1f\x8b")
    assert "gunzip -c 'my rows; rm.gz' >" in caught.value.hint


def test_byte_order_marks_are_dropped_where_files_begin(tmp_path: Path) -> None:
    path = tmp_path / "joined.txt"
    path.write_bytes("\ufeffone\r\n\ufefftwo \ufeff\rthree".encode())
    assert read_text_file("f", path) == "one\ntwo \ufeff\nthree"


def test_a_nul_far_inside_is_a_flaw_of_the_text() -> None:
    assert decode("f", PATH, b"a" * 5000 + b"\0").endswith("a\0")


def test_of_a_part_the_cut_character_is_left_out() -> None:
    content = "äö".encode()[:3]
    assert decode("f", PATH, content, is_whole=False) == "ä"
    with pytest.raises(InvalidInput, match="byte 2"):
        decode("f", PATH, content)


# What gzip packed


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(ROWS.encode()))
    return path


def test_what_gzip_packed_is_read_as_what_it_was(packed: Path) -> None:
    assert read_text_file("f", packed) == ROWS
    packed.write_bytes(gzip.compress(b"one\r\n") + gzip.compress(b"two"))  # as `cat a.gz b.gz`
    assert read_text_file("f", packed) == "one\ntwo"


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-9],
        lambda content: content[:-6] + b"\0" + content[-5:],
        lambda content: content[:30] + b"\xff\xff\xff" + content[33:],
        lambda content: content + b"more",
    ],
    ids=["cut", "checksum", "inside", "after"],
)
def test_a_damaged_packing_is_said_to_be_one(packed: Path, damage: Any) -> None:
    packed.write_bytes(damage(packed.read_bytes()))
    with pytest.raises(InvalidInput, match="damaged where it is packed") as caught:
        read_text_file("f", packed)
    assert "gzip -t rows.jsonl.gz" in caught.value.hint


def test_what_comes_out_is_what_is_measured(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four megabytes of zeros are four thousand bytes, and four gigabytes four million."""
    monkeypatch.setattr(text_file, "MOST_BYTES", 3 * 2**20)
    packed.write_bytes(gzip.compress(bytes(4 * 2**20)))
    assert packed.stat().st_size < 5000
    with pytest.raises(CannotOpen, match="unpacks to more than the 3,145,728 bytes"):
        read_text_file("f", packed)


def test_a_packed_file_is_as_large_as_what_is_in_it(packed: Path) -> None:
    assert holds_at_most("f", packed, len(ROWS))
    assert not holds_at_most("f", packed, len(ROWS) - 1)
    (plain := packed.with_name("plain")).write_text(ROWS)
    assert holds_at_most("f", plain, len(ROWS))
    assert not holds_at_most("f", plain, len(ROWS) - 1)


@pytest.mark.parametrize("inside", [gzip.compress(b"a", mtime=0), b"PAR1\x15", b"PK\x03\x04"])
def test_what_is_packed_twice_is_no_text(packed: Path, inside: bytes) -> None:
    packed.write_bytes(gzip.compress(inside))
    with pytest.raises(InvalidInput, match=r"is (compressed|a)"):
        read_text_file("f", packed)
