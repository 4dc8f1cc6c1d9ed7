"""What a server takes: its process and those it has started."""

import os
from collections.abc import Iterator
from pathlib import Path

PROCESSES = "[0-9]*"
PARENT, USER, SYSTEM = 1, 11, 12
"""Fields of a ``stat`` line, counted from behind the name of the program."""


def resident_mebibytes(pid: int) -> float:
    """Of process ``pid`` and its children; pages that they share count more than once.

    Raises:
        RuntimeError: There is no such process.
    """
    return sum(_kibibytes(folder / "status") for folder, _ in _family(pid)) / 1024


def processor_seconds(pid: int) -> float:
    """Of process ``pid`` and its children since they started.

    Raises:
        RuntimeError: There is no such process.
    """
    ticks = sum(int(stat[USER]) + int(stat[SYSTEM]) for _, stat in _family(pid))
    return ticks / os.sysconf("SC_CLK_TCK")


def server_on(home: Path) -> int:
    """Number of the process that serves the data in ``home``.

    Raises:
        RuntimeError: None does.
    """
    for folder, _ in _processes():
        try:
            command = (folder / "cmdline").read_text(encoding="utf-8").split("\0")
        except OSError:  # ended meanwhile
            continue
        if {"serve", str(home)} <= {*command}:
            return int(folder.name)
    raise RuntimeError(f"nothing serves {home}")


def _family(pid: int) -> list[tuple[Path, list[str]]]:
    """Folder and ``stat`` of each."""
    found = [
        (folder, stat) for folder, stat in _processes() if str(pid) in (folder.name, stat[PARENT])
    ]
    if not found:
        raise RuntimeError(f"process {pid} is gone")
    return found


def _processes() -> Iterator[tuple[Path, list[str]]]:
    for folder in Path("/proc").glob(PROCESSES):
        try:
            line = (folder / "stat").read_text(encoding="utf-8")
        except OSError:  # ended meanwhile
            continue
        yield folder, line.rpartition(")")[2].split()


def _kibibytes(status: Path) -> int:
    """0 of one that ended meanwhile or waits to be collected."""
    try:
        lines = status.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
