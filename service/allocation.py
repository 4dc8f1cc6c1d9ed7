"""Memory: how many pools the C library keeps and what it gives back; what is not collected."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

M_ARENA_MAX = -8
ARENAS = 2


def use_few_arenas() -> None:
    """Have threads share two pools of memory; call it before they start.

    glibc gives up to eight per core, and what one thread's pool has freed serves no other thread:
    a service that learns in one thread and answers in forty grew by 80 MiB a minute
    (``bench.api``). Other C libraries do not do so, and are left alone.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Return to the system what is free: the peak of learning a long study would stay resident.

    Takes milliseconds, in which other threads wait for memory: not for every request.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Have what is imported meanwhile left alone by the garbage collector, now and later.

    Next to nothing that an import makes is garbage; to look through all of it again and again
    is a sixth of what starting a service takes, and of a worker. Where the collector was off it
    stays so.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
