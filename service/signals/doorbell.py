"""Doorbell: "there may be work". It carries no data, so a lost ring costs latency only."""

import asyncio
import threading
from collections.abc import Callable

MOMENT_SECONDS = 0.05


class Doorbell:
    """Wakes every waiting long-poll of this process; may be rung from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal may ring while its thread holds it
        self._waiters: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}
        self._rings = 0
        self._listeners: list[Callable[[], None]] = []
        self.closed = False

    @property
    def rings(self) -> int:
        """How often it rang; read it before looking for work, then wait for the next."""
        return self._rings

    def tell(self, listener: Callable[[], None]) -> None:
        """Call ``listener``, which must be quick, at every ring from now on."""
        self._listeners.append(listener)

    def ring(self, trials: int | None = None) -> None:
        """Wake those who have waited longest, ``2 * trials`` of them; without a number, all."""
        for listener in self._listeners:
            listener()
        with self._lock:
            self._rings += 1
            most = len(self._waiters) if trials is None else 2 * trials
            woken = {waiter: self._waiters[waiter] for waiter in [*self._waiters][:most]}
            for waiter in woken:
                del self._waiters[waiter]
        for future, loop in woken.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_wake, future)

    def close(self) -> None:
        """Ring for the last time: waiting is over because the service stops."""
        self.closed = True
        self.ring()

    async def wait(self, seen: int, timeout_seconds: float) -> None:
        """Return at the first ring after ``seen``, or when the time is up.

        If it has rung already, a moment later: where it rings all the time, looking costs more than
        waiting.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._lock:
            has_rung = self._rings != seen or self.closed
            if not has_rung:
                self._waiters[future] = loop
        if has_rung:
            await asyncio.sleep(0.0 if self.closed else min(MOMENT_SECONDS, timeout_seconds))
            return
        try:
            await asyncio.wait_for(future, timeout_seconds)
        except TimeoutError:
            pass
        finally:
            with self._lock:
                self._waiters.pop(future, None)


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
