"""A file of ``torch.save``: a zip file of one pickle and of the numbers, each checked first."""

import errno
import mmap
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import torch

from pruning.importing.inert import Malformed, Storage, View, names_in, read_inert
from pruning.importing.room import too_large
from rankspace.errors import InvalidContainer, InvalidInput

PACKAGES = frozenset({"torch", "transformers", "tokenizers", "accelerate", "LLMPruner"})
"""Whose classes a pickled model consists of."""

HARMLESS = frozenset(
    {"collections.OrderedDict", "collections.Counter", "_codecs.encode"}
    | {f"{m}.{n}" for m in ("builtins", "__builtin__") for n in ("set", "bytearray", "complex")}
)
DANGEROUS = frozenset(
    [
        "os",
        "posix",
        "nt",
        "subprocess",
        "commands",
        "sys",
        "io",
        "socket",
        "ctypes",
        "importlib",
        "runpy",
        "shutil",
        "pickle",
        "cPickle",
        "_pickle",
        "code",
        "pty",
        "webbrowser",
        "urllib",
        "requests",
        "multiprocessing",
    ]
)
"""Modules that no model needs, and that what runs code or reads files is made of."""

BUILTINS = frozenset(
    [
        "eval",
        "exec",
        "execfile",
        "compile",
        "getattr",
        "setattr",
        "delattr",
        "__import__",
        "open",
        "input",
        "globals",
    ]
)
DTYPES = {
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.DoubleStorage": torch.float64,
}
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
MOST_PROGRAM = 64_000_000
"""Bytes of the pickle itself, without numbers; of a model and its tokenizer, some millions."""


class PickleFile:
    """What was saved, as inert data, and the numbers that it refers to, mapped from the file.

    Raises:
        InvalidContainer: It is no such file, or names what no model consists of.
        InvalidInput: It is larger than what this machine can map.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                if file.read(len(LEGACY)) == LEGACY:
                    raise _legacy(path)
                self._bytes = _mapped(path, file)
            with zipfile.ZipFile(path) as archive:
                self._entries = {entry.filename: entry for entry in archive.infolist()}
            self._prefix = self._find_prefix()
            self._check_order()
            program = self._program()
            names = names_in(program)
        except Exception as error:  # noqa: BLE001 - zip and pickletools each fail in their own way
            raise unread(path, error) from None
        _check_names(path, names)
        try:
            self.document = read_inert(program)
        except Exception as error:  # noqa: BLE001 - any step of a program may find nothing there
            raise unread(path, error) from None

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self._bytes)

    def tensors(self, views: Mapping[str, View]) -> dict[str, torch.Tensor]:
        """Return tensors over the file's own bytes, together no larger than the file.

        Raises:
            InvalidContainer: One does not lie within its record, or on one that is another's.
        """
        found: dict[str, torch.Tensor] = {}
        owners: dict[int, str] = {}
        room = self.size
        for name, view in views.items():
            try:
                key = _key(view.storage)
                start, _ = self._record(f"data/{key}")
                if start in owners:
                    raise Malformed(f"it lies on the same numbers as {owners[start]}")
                owners[start] = name
                found[name] = self._tensor(view, key)
                room -= found[name].nbytes
                if room < 0:
                    raise Malformed("with those before it, it is larger than the file")
            except Malformed as error:
                raise unread(self.path, error, name) from None
        return found

    def _tensor(self, view: View, key: str) -> torch.Tensor:
        dtype = DTYPES.get(view.storage.kind)
        if dtype is None:
            raise Malformed(f"its numbers are {view.storage.kind}, and not one of {sorted(DTYPES)}")
        start, length = self._record(f"data/{key}")
        elements = length // dtype.itemsize
        size, stride, offset = _counts(view.size), _counts(view.stride), _counts((view.offset,))[0]
        if len(size) != len(stride) or len(size) > 8:
            raise Malformed("its shape and its strides do not fit each other")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if 0 in size or prod(size) > elements or last >= elements:
            raise Malformed(f"it has other numbers than the {elements:,} of its record")
        flat = torch.frombuffer(self._bytes, dtype=dtype, count=elements, offset=start)
        return flat.as_strided(size, stride, offset)

    def _find_prefix(self) -> str:
        found = [name for name in self._entries if name.split("/")[1:] == ["data.pkl"]]
        if len(found) != 1:
            raise Malformed("it has no data.pkl, or several")
        return found[0].removesuffix("data.pkl")

    def _check_order(self) -> None:
        if self._prefix + "byteorder" in self._entries:
            start, length = self._record("byteorder")
            if self._bytes[start : start + length] != b"little":
                raise Malformed("its numbers are not little-endian")

    def _program(self) -> bytes:
        start, length = self._record("data.pkl")
        if length > MOST_PROGRAM:
            raise Malformed(f"its pickle has {length:,} bytes without the weights")
        return self._bytes[start : start + length]

    def _record(self, name: str) -> tuple[int, int]:
        """Where a record begins and how long it is; never compressed, and within the file."""
        entry = self._entries.get(self._prefix + name)
        if entry is None or entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise Malformed(f"it has no plain record {name!r}")
        at = entry.header_offset
        head = self._bytes[at : at + 30]
        if at < 0 or len(head) < 30 or head[:4] != b"PK\x03\x04":
            raise Malformed(f"its record {name!r} is not where it is said to be")
        lengths = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        start = at + 30 + lengths
        if start + entry.file_size > self.size:
            raise Malformed(f"its record {name!r} reaches beyond the file")
        return start, entry.file_size


def _mapped(path: Path, file: BinaryIO) -> mmap.mmap:
    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        raise too_large(path, "pages", path.stat().st_size) from None


def unread(path: Path, error: Exception, field: str | None = None) -> InvalidInput:
    """Make the refusal of a file that cannot be read as data, whatever was wrong."""
    if isinstance(error, InvalidInput):
        return error
    fix = "load it where you trust it, and call model.save_pretrained(DIRECTORY)"
    said = " ".join(repr(str(error))[1:-1].split())[:200]
    problem = f"cannot be read as data: {said}"
    return InvalidContainer(path.name, field or type(error).__name__, problem, fix=fix)


def _check_names(path: Path, names: list[str]) -> None:
    for name in names:
        if _is_dangerous(name):
            raise InvalidContainer(
                path.name,
                name,
                "is called in it, which no model needs: nothing of it was run",
                fix="do not open this file; ask whoever made it for safetensors",
            )
    for name in names:
        if name.partition(".")[0] not in PACKAGES and name not in HARMLESS:
            raise InvalidContainer(
                path.name,
                name,
                f"is not read as data here: only names of {', '.join(sorted(PACKAGES))} are",
                fix="load it where you trust it, and call model.save_pretrained(DIRECTORY)",
            )


def _is_dangerous(name: str) -> bool:
    parts = name.split(".")
    is_builtin = parts[0] in {"builtins", "__builtin__"} or "__builtins__" in parts
    return not DANGEROUS.isdisjoint(parts) or (is_builtin and not BUILTINS.isdisjoint(parts))


def _legacy(path: Path) -> InvalidContainer:
    return InvalidContainer(
        path.name,
        "a file from before torch 1.6",
        "is saved in torch's old format, which is not read here",
        fix="load it where you trust it and save it again, with model.save_pretrained(DIRECTORY)",
    )


def _key(storage: Any) -> str:
    if not isinstance(storage, Storage) or type(storage.key) is not str:
        raise Malformed("it lies on no storage")
    return storage.key


def _counts(values: Any) -> tuple[int, ...]:
    if type(values) is not tuple or any(type(n) is not int or not 0 <= n < 2**48 for n in values):
        raise Malformed("its shape, strides or offset are no counts")
    return values
