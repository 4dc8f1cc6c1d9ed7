"""Open a file below a directory, and nowhere else: through no symbolic link, from no pipe."""

import os
import stat
from pathlib import Path, PurePath

_HERE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_beneath(root: Path, path: PurePath) -> int:
    """Return a descriptor of the ordinary file at ``path`` below ``root``.

    Every folder on the way is opened by itself, so that none can be swapped for a link meanwhile.

    Raises:
        OSError: It is not there, not an ordinary file, or led to by a link.
    """
    if path.is_absolute() or ".." in path.parts or "\0" in str(path):
        raise FileNotFoundError(path)
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in path.parts[:-1]:
            handle = _step(handle, folder, _HERE | os.O_DIRECTORY)
        handle = _step(handle, path.name, _HERE | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise FileNotFoundError(path)
    except OSError:
        os.close(handle)
        raise
    return handle


def _step(handle: int, name: str, flags: int) -> int:
    """Go on from the folder ``handle``, which is closed once the next one is open."""
    following = os.open(name, flags, dir_fd=handle)
    os.close(handle)
    return following
