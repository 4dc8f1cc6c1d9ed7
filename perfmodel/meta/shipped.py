"""The prior that comes with the package."""

from importlib.resources import files

FILE = "prior.json"


def shipped_prior() -> bytes | None:
    """Return the file's content, for ``perfmodel.start``; None in a build without one."""
    file = files("perfmodel.meta").joinpath(FILE)
    return file.read_bytes() if file.is_file() else None
