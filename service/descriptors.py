"""File descriptors: as many as are needed, and how many callers they are enough for."""

import sys

FOR_A_THREAD = 5
"""What one that answers may have open: its connection to SQLite is three files, an upload one."""

FOR_ALL = 100
"""What the process has open whatever it does."""

LEFT_OVER = 4
"""A caller cut off or just let in may hold its descriptor for some turns of the event loop."""


def connections_within(descriptors: int, wanted: int, threads: int) -> int:
    """Return how many callers fit, at most ``wanted``."""
    spare = descriptors - FOR_ALL - threads * FOR_A_THREAD
    return max(min(wanted, spare - spare // LEFT_OVER), 1)


def needed(connections: int, threads: int) -> int:
    """Return a number of descriptors that is enough for so many callers."""
    return FOR_ALL + threads * FOR_A_THREAD + connections * LEFT_OVER // (LEFT_OVER - 1) + 1


def ask_for(wanted: int) -> int:
    """Raise this process's limit to ``wanted`` if it may be; return what it is then.

    Many systems allow far more than the 1,024 they begin with.
    """
    if sys.platform == "win32":
        return wanted
    import resource  # noqa: PLC0415  # Windows has none

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # a system may have limits of its own
        return soft
    return most
