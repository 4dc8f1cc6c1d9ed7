"""FileKind: what a file is that is no UTF-8 text, by how it begins, and how to make text of it."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from rankspace.errors import InvalidInput

LOOKED_AT = 4096
"""Bytes in which a NUL tells that a file is no text: further in, one is a flaw of the text."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """One kind of file.

    Attributes:
        begins: Its first bytes.
        problem: What is said of it.
        fix: How to convert it, with ``{file}`` for its name in a shell, ``{name}`` in Python.
    """

    begins: bytes
    problem: str
    fix: str

    def refusal(self, field: str, path: Path) -> InvalidInput:
        fix = self.fix.format(file=shlex.quote(path.name), name=repr(path.name))
        return InvalidInput(field, str(path), self.problem, fix=fix)


def _packed(begins: bytes, name: str, program: str) -> FileKind:
    return FileKind(begins, f"is compressed ({name})", f"unpack it: {program} {{file}} > unpacked")


def _encoded(begins: bytes, name: str) -> FileKind:
    fix = f"convert it: iconv -f {name} -t UTF-8 {{file}} > utf8"
    return FileKind(begins, f"is {name}, not UTF-8", fix)


def _columns(begins: bytes, name: str, reader: str) -> FileKind:
    saved = "to_json('train.jsonl', orient='records', lines=True)"
    fix = f"convert it in Python: {reader}({{name}}).{saved}"
    return FileKind(begins, f"is {name}, not text", fix)


KINDS = (
    _packed(b"\x1f\x8b", "gzip", "gunzip -c"),
    _packed(b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"),
    _packed(b"\xfd7zXZ\x00", "xz", "xz -dc"),
    *(_packed(b"BZh%d1AY&SY" % level, "bzip2", "bzip2 -dc") for level in range(1, 10)),
    FileKind(b"PK\x03\x04", "is a zip archive, not text", "unpack it: unzip -p {file} > unpacked"),
    _columns(b"PAR1", "a Parquet file", "pandas.read_parquet"),
    _columns(b"ARROW1", "an Arrow file", "pandas.read_feather"),
    _columns(b"\xff\xff\xff\xff", "an Arrow stream", "datasets.Dataset.from_file"),
    # Of four bytes, so before the marks of two that they begin with.
    _encoded(b"\xff\xfe\x00\x00", "UTF-32"),
    _encoded(b"\x00\x00\xfe\xff", "UTF-32"),
    _encoded(b"\xff\xfe", "UTF-16"),
    _encoded(b"\xfe\xff", "UTF-16"),
    *(
        FileKind(b"\x80%c" % version, "is a pickle, which is never opened", "save it as text")
        for version in range(2, 6)
    ),
)
"""By falling length where one begins like another."""


def _unmarked(order: str) -> FileKind:
    problem = "has a NUL byte: it is UTF-16 without a byte order mark, or no text at all"
    return FileKind(b"", problem, f"if it is UTF-16: iconv -f {order} -t UTF-8 {{file}} > utf8")


UNMARKED = (_unmarked("UTF-16BE"), _unmarked("UTF-16LE"))
"""By whether the first NUL, half of a Latin letter, stands at an odd place."""


def check_kind(field: str, path: Path, content: bytes) -> None:
    """Refuse what is known to be something else than UTF-8 text.

    Raises:
        InvalidInput: Names what it is and how to convert it.
    """
    for kind in KINDS:
        if content.startswith(kind.begins):
            raise kind.refusal(field, path)
    nul = content[:LOOKED_AT].find(b"\0")
    if nul >= 0:
        raise UNMARKED[nul % 2].refusal(field, path)
