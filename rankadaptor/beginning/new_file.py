"""Writing a file that is complete, and good, before it has its name."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from rankspace.errors import InvalidInput

FIELD = "--output"


def check_place(path: Path, *, force: bool) -> None:
    """Check that ``path`` is free, and can be written, before any work is done for it.

    Raises:
        InvalidInput: It is there and not to be replaced, or has no directory.
    """
    if path.is_dir():
        raise InvalidInput(FIELD, str(path), "is a directory", fix="give the name of a file in it")
    if not path.parent.is_dir():
        problem = f"there is no directory {path.parent}"
        raise InvalidInput(FIELD, str(path), problem, fix="make it first, or give another name")
    if not force and (path.exists() or path.is_symlink()):
        fix = "give --force to replace it, or another name"
        raise InvalidInput(FIELD, str(path), "is there already", fix=fix)


def write_new(path: Path, text: str, check: Callable[[Path], object], *, force: bool) -> None:
    """Write ``text`` beside ``path``, ``check`` it there, and give it its name in one step.

    Raises:
        InvalidInput: See ``check_place``, or the directory cannot be written to; whatever ``check``
            raises. Nothing is left then.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        problem, fix = f"cannot be written: {error.strerror}", "give a name elsewhere"
        raise InvalidInput(FIELD, str(path), problem, fix=fix) from error
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        check(draft)
        check_place(path, force=force)
        draft.chmod(0o644)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
