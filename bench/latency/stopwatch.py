"""The stopwatch: asks and tells in turn, and memory before and after."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from bench.latency.cell import Cell, Timing

STATUS = Path("/proc/self/status")


def timed(
    cell: Cell,
    load: Callable[[], None],
    propose: Callable[[], None],
    learn: Callable[[], None],
    cycles: int,
) -> Timing:
    """Load, propose once, then ``cycles`` times learn and propose; run it in a fresh process."""
    before = resident()
    loading = _seconds(load) + _seconds(propose)
    pairs = [(_seconds(learn), _seconds(propose)) for _ in range(cycles)]
    after = resident()
    return Timing(
        cell,
        loading,
        1e3 * statistics.median(asked for _, asked in pairs),
        1e3 * statistics.median(told for told, _ in pairs),
        after - before if after is not None and before is not None else None,
    )


def resident() -> float | None:
    """Resident memory of this process in megabytes; None outside Linux."""
    if not STATUS.exists():
        return None
    (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024.0


def _seconds(call: Callable[[], None]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
