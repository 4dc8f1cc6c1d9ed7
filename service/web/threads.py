"""Threads: on which of this process's threads the work of a request is done.

A lease that is not renewed in time is a trial lost, so workers have half of the threads to
themselves, and the dear looks at studies have two: more of them would only slow each other down,
and whatever else this process does, as Python runs one at a time. Bodies of many megabytes are read
one after another: what is made of each takes a hundred. A router says whose threads its
requests use, as its first dependency. What waits for others holds no thread.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial, wraps
from typing import ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import FastAPI, Request

P = ParamSpec("P")
T = TypeVar("T")

LOOKS = 2
"""Threads for dear looks; one where there are few in all."""

FEW = 8

_mine: ContextVar[CapacityLimiter | None] = ContextVar("threads", default=None)


class Threads:
    """Divides ``total`` threads, at least 4, among leases, dear looks and everything else."""

    def __init__(self, total: int) -> None:
        self._leases = CapacityLimiter(total // 2)
        self._looks = CapacityLimiter(LOOKS if total >= FEW else 1)
        self._bulk = CapacityLimiter(1)
        self._others = total - total // 2 - (LOOKS if total >= FEW else 1)

    @classmethod
    def install(cls, app: FastAPI, total: int) -> None:
        app.state.threads = cls(total)

    def begin(self) -> None:
        """Leave the rest to whoever does not say where it belongs; on the event loop."""
        anyio.to_thread.current_default_thread_limiter().total_tokens = self._others

    @staticmethod
    async def bulk(request: Request) -> None:
        """As a dependency: what follows is done on the one thread of bodies of many megabytes."""
        _mine.set(_of(request)._bulk)

    @staticmethod
    async def leases(request: Request) -> None:
        """As a dependency: what follows is done on the threads of leases."""
        _mine.set(_of(request)._leases)

    @staticmethod
    async def looks(request: Request) -> None:
        """As a dependency: what follows is done on the threads of dear looks."""
        _mine.set(_of(request)._looks)


def _of(request: Request) -> Threads:
    threads = request.app.state.threads
    assert isinstance(threads, Threads)
    return threads


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do ``work`` on a thread of those the request may use, once one is free."""
    return await anyio.to_thread.run_sync(partial(work, *args, **kwargs), limiter=_mine.get())


def threaded(work: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Make a route or a dependency of ``work`` that does it so.

    The framework would do it on the threads of everybody.
    """

    @wraps(work)
    async def done(*args: P.args, **kwargs: P.kwargs) -> T:
        return await in_thread(work, *args, **kwargs)

    return done
