"""Key files: ``admin.key`` and ``worker.key``, for whoever sits at the service's machine."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from rankspace.errors import InvalidInput
from service.access.caller import Role
from service.access.keys import IssuedKey, Keys
from service.storage.private_files import drafted

log = structlog.get_logger(__name__)

_FIRST = (Role.WORKER, Role.ADMIN)
_NOTHING = "\0 \t\r\n"
"""What a machine that lost its power, or a full disk, leaves of a file."""

_UNREADABLE = "?"


def issue_missing(session: Session, directory: Path, files: ExitStack, *, is_own: bool) -> None:
    """Issue what one machine needs at the very first start; later what is gone with ``admin.key``.

    The keys are of all projects. To be called in the transaction that ``files`` outlasts: what
    finds no room is not issued, and what was not issued is in no file.

    Args:
        session: A write transaction, of one service at a time.
        directory: Where the files are.
        files: Writes each key beside its file, and puts all in place at its end.
        is_own: Whether the directory belongs to the database; of several services each may have one
            of its own, and then no file is missed.

    Raises:
        InvalidInput: The files are of another database, or cannot be written.
    """
    keys, found = Keys(session), {role: _content(directory, role) for role in _FIRST}
    missing = [role for role in _FIRST if not found[role]]
    if not keys.exist():
        _check_free(directory, found.keys() - missing)
        _issue(keys, _FIRST, "made at the first start", directory, files)
    elif is_own and Role.ADMIN in missing:
        _issue(keys, missing, "made because {}.key was missing", directory, files)
    elif found[Role.ADMIN] not in ("", _UNREADABLE) and not keys.knows(found[Role.ADMIN]):
        file, fix = str(directory / "admin.key"), "move it away, or check the database's address"
        log.warning("this key is of another database", file=file, fix=fix)


def _content(directory: Path, role: Role) -> str:
    try:
        return _file(directory, role).read_text(encoding="ascii", errors="replace").strip(_NOTHING)
    except FileNotFoundError:
        return ""
    except OSError:  # there, and somebody else's to read
        return _UNREADABLE


def _check_free(directory: Path, roles: Iterable[Role]) -> None:
    names = " and ".join(sorted(f"{role.value}.key" for role in roles))
    if names:
        raise InvalidInput(
            "data_directory",
            str(directory),
            f"has {names} of another database: the one in use has no keys yet",
            fix="use the database they are of (database_url, or rankadaptor db restore), or move "
            "them away to begin anew",
        )


def _issue(keys: Keys, roles: Iterable[Role], name: str, directory: Path, files: ExitStack) -> None:
    issued = [keys.issue(role, name.format(role.value)) for role in roles]
    for key in reversed(issued):  # the last one drafted is in place first: the admin's is last
        _draft(key, directory, files)


def _draft(key: IssuedKey, directory: Path, files: ExitStack) -> None:
    file = _file(directory, key.role)
    try:
        files.enter_context(drafted(file, f"{key.key}\n"))
    except OSError as error:
        problem = f"{file.name} cannot be written: {error.strerror}"
        fix = "make room there and start again"
        raise InvalidInput("data_directory", str(directory), problem, fix=fix) from error
    log.info("issued a key", key=key.id, role=key.role.value, reason=key.name)


def _file(directory: Path, role: Role) -> Path:
    return directory / f"{role.value}.key"
