"""Target: the directory a container is written to, and what may be replaced there."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pruning.container.manifest import CARD, NAME, read_manifest
from rankspace.errors import InvalidContainer, InvalidInput


def check_target(directory: Path) -> None:
    """Check that a container may be written to ``directory`` and nothing else would be lost.

    Raises:
        InvalidContainer: It is a link, a file, or holds anything but one container's files.
    """
    if not _holds(directory):
        return
    if not (directory / NAME).is_file():
        raise _occupied(directory, f"holds other things (no {NAME})")
    listed = {NAME, CARD, *_listed(directory)}
    for path in sorted(directory.iterdir()):
        if path.name not in listed or (path.is_dir() and not path.is_symlink()):
            raise _occupied(directory, f"holds {path.name!r}, which its {NAME} does not list")


def check_new(directory: Path) -> None:
    """Check that nothing would be lost at ``directory``, not even a container.

    Raises:
        InvalidContainer: It is a link, a file, or holds anything.
    """
    if _holds(directory):
        raise _occupied(directory, "is not empty")


def check_apart(source: Path, target: Path) -> None:
    """Check that replacing ``target`` would not remove ``source``.

    Raises:
        InvalidInput: They are the same, or ``source`` lies inside ``target``.
    """
    inner, outer = source.resolve(), target.resolve()
    if inner.is_relative_to(outer):
        problem = "is the source" if inner == outer else f"contains the source {source}"
        raise InvalidInput("target", str(target), problem, fix="name another directory")


@contextmanager
def drafted(directory: Path, check: Callable[[Path], None] = check_target) -> Iterator[Path]:
    """Yield a directory beside ``directory``, which takes its place at the end, or nothing does.

    Args:
        directory: Where it ends.
        check: Whether what is there may go: ``check_target`` or ``check_new``.

    Raises:
        InvalidContainer: Something else is there, before or after.
    """
    directory = directory.absolute()  # "." has neither a name nor a place beside it
    check(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{directory.name}.writing."
    draft = Path(tempfile.mkdtemp(dir=directory.parent, prefix=prefix))
    try:
        draft.chmod(0o755)
        yield draft
        put_in_place(draft, directory, check)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def put_in_place(
    temporary: Path, directory: Path, check: Callable[[Path], None] = check_target
) -> None:
    """Rename; a container that was there survives if the second rename fails.

    Raises:
        InvalidContainer: Something else appeared there meanwhile.
    """
    check(directory)
    if not directory.exists():
        temporary.rename(directory)
        return
    old = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}.old."))
    directory.rename(old)
    try:
        temporary.rename(directory)
    except BaseException:
        old.rename(directory)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _holds(directory: Path) -> bool:
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise _occupied(directory, "is a link or a file")
    return directory.is_dir() and any(directory.iterdir())


def _listed(directory: Path) -> set[str]:
    try:
        return set(read_manifest(directory / NAME).files)
    except InvalidContainer as error:
        raise _occupied(directory, f"its {NAME} cannot be read: {error.detail}") from None


def _occupied(directory: Path, problem: str) -> InvalidContainer:
    return InvalidContainer(
        "directory", str(directory), problem, fix="name a new or empty directory"
    )
