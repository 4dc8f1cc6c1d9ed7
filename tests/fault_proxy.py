"""A TCP proxy that misbehaves on demand: cut, half-open, delay, reset. One thread, asyncio."""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

Fault: TypeAlias = Literal["cut", "half-open", "delay", "reset"]
FAULTS: tuple[Fault, ...] = ("cut", "half-open", "delay", "reset")

CHUNK = 1 << 16
RST = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds: closing sends RST instead of FIN."""


class FaultProxy:
    """Forwards every connection to the first of ``targets``, from a random one on, that answers.

    - ``cut``: connections end, and new ones are refused.
    - ``reset``: connections are reset; new ones are served at once.
    - ``half-open``: nothing is forwarded and nothing ends, as when a router lost its tables; new
      connections are accepted and get no answer either.
    - ``delay``: every chunk takes ``DELAY_SECONDS`` more.
    """

    DELAY_SECONDS = 0.4

    def __init__(self, targets: Sequence[tuple[str, int]]) -> None:
        self._targets = targets
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._stalled = asyncio.Event()
        self._delay = 0.0
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._do(self._end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def begin(self, fault: Fault) -> None:
        """Misbehave from now on."""
        self._do(self._begin(fault))

    def end(self) -> None:
        """Behave again; what hung while half-open is reset."""
        self._do(self._end())

    def _do(self, what: Any) -> None:
        future: Future[None] = asyncio.run_coroutine_threadsafe(what, self._loop)
        future.result(10)

    async def _listen(self) -> None:
        self._stalled.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _begin(self, fault: Fault) -> None:
        if fault == "half-open":
            self._stalled.clear()
        elif fault == "delay":
            self._delay = self.DELAY_SECONDS
        elif fault == "reset":
            self._drop(reset=True)
        else:
            await self._close()

    async def _end(self) -> None:
        if not self._stalled.is_set():
            self._drop(reset=True)
            self._stalled.set()
        self._delay = 0.0
        if self._server is None:
            await self._listen()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._drop(reset=False)
        await asyncio.sleep(0)

    async def _end_all(self) -> None:
        await self._close()
        self._stalled.set()
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _drop(self, *, reset: bool) -> None:
        for writer in tuple(self._open):
            if reset and (raw := writer.get_extra_info("socket")) is not None:
                with contextlib.suppress(OSError):  # it has been closed since
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            writer.transport.abort()
        self._open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        there = await self._connect()
        if there is None:
            writer.transport.abort()
            self._open.discard(writer)
            return
        self._open.add(there[1])
        try:
            await asyncio.gather(self._pump(reader, there[1]), self._pump(there[0], writer))
        finally:
            self._open -= {writer, there[1]}

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        first = random.randrange(len(self._targets))
        for target in (*self._targets[first:], *self._targets[:first]):
            with contextlib.suppress(OSError, TimeoutError):
                return await asyncio.wait_for(asyncio.open_connection(*target), 2)
        return None

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK):
                await self._stalled.wait()
                if self._delay:
                    await asyncio.sleep(self._delay)
                sink.write(data)
                await sink.drain()
        sink.close()
