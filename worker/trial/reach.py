"""Reach: which files of this machine a study may name, whoever wrote the study."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from rankspace.errors import CannotOpen

SYSTEM = ("/dev", "/etc", "/proc", "/run", "/sys")
"""Devices, and what the machine says of itself and its processes."""

CACHE = ".cache"
TOKENS = ("huggingface/token", "huggingface/stored_tokens")
"""What a cache folder holds that is no data."""

SERVICE_KEY = "admin.key"
"""Where this lies, a service keeps its keys, its database and everybody's adapters."""

_ANYWHERE = (Path("/"),)


class Reach:
    """Roots within which models and data lie, and what is no data inside of them.

    The deepest of all that holds a path decides, so that a root inside of what is barred, like
    ``/dev/shm``, opens that part of it again. Links are followed first.

    Args:
        roots: Directories; none at all means everything this user can read.
        barred: Files and directories in addition to the system's own and to hidden ones in the
            home directory.
    """

    def __init__(self, roots: Sequence[Path] = (), barred: Iterable[Path] = ()) -> None:
        self._roots = frozenset(_real(root) for root in roots or _ANYWHERE)
        self._home = _home()
        tokens = (self._home / CACHE / name for name in TOKENS)
        self._barred = frozenset(_real(path) for path in (*map(Path, SYSTEM), *tokens, *barred))
        self._named = ", ".join(map(str, sorted(self._roots)))

    def check(self, field: str, path: str) -> None:
        """Refuse a path that is none of a study's business; it need not exist.

        Raises:
            CannotOpen: It lies outside, in the words that hold for everything outside.
        """
        try:
            real = _real(Path(path))
        except (OSError, ValueError):
            return  # a loop of links, say: opening it raises the error that says so
        if not self._admits(real):
            problem = f"is nothing that studies may read on this worker (roots: {self._named})"
            fix = "put it elsewhere, or name its directory in RANKADAPTOR_ROOTS of the worker"
            raise CannotOpen(field, path, problem, fix=fix)

    def _admits(self, real: Path) -> bool:
        for place in (real, *real.parents):
            if place in self._roots:
                return True
            if place in self._barred or self._is_hidden(place) or _is_of_service(place):
                return False
        return False

    def _is_hidden(self, place: Path) -> bool:
        """Whether it is a hidden entry of the home directory: keys and settings; but caches."""
        is_dotted = place.name.startswith(".") and place.name != CACHE
        return is_dotted and place.parent == self._home


def _home() -> Path:
    try:
        return _real(Path.home())
    except RuntimeError:  # a container's user need not have one
        return Path("/nonexistent")


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _is_of_service(place: Path) -> bool:
    try:
        return (place / SERVICE_KEY).exists()
    except PermissionError:
        return False  # who may not look there cannot read there either
