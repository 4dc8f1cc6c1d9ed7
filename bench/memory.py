"""Resident memory of a server: of its process and of those it has started."""

from collections.abc import Iterator
from pathlib import Path

STATUSES = "[0-9]*/status"


def resident_mebibytes(pid: int) -> float:
    """Of process ``pid`` and its children; pages that they share count more than once.

    Raises:
        RuntimeError: There is no such process.
    """
    found = [_kibibytes(status) for status in _family(str(pid))]
    if not found:
        raise RuntimeError(f"process {pid} is gone")
    return sum(found) / 1024


def _family(pid: str) -> Iterator[dict[str, str]]:
    for file in Path("/proc").glob(STATUSES):
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except OSError:  # ended meanwhile
            continue
        status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if pid in (status["Pid"], status["PPid"]):
            yield status


def _kibibytes(status: dict[str, str]) -> int:
    return int(status.get("VmRSS", "0 kB").split()[0])  # what has ended and waits has none
