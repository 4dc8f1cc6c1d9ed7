"""The C library's memory: how many pools it keeps, and what it gives back."""

import ctypes
import sys

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
