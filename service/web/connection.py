"""WatchedProtocol: uvicorn's HTTP/1.1 over one socket, and what ``Connections`` knows of it."""

import asyncio
import time
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from service.web.connections import Connections, Patience


class WatchedProtocol(H11Protocol):
    """One socket. A timer would be set and taken back with each packet; times are noted instead.

    Between requests uvicorn itself closes what says nothing for five seconds; it waits for ever
    for the first request, for the rest of a head, and for an answer to be taken.
    """

    lines: ClassVar[Connections]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._since = time.monotonic()
        self._unsent = 0
        self._was_known = False
        super().connection_made(transport)
        if not self.lines.enter(self):
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lines.leave(self)
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._was_known = self.is_known
        self._since = time.monotonic()
        super().on_response_complete()

    @property
    def address(self) -> str:
        return self.client[0] if self.client else ""

    @property
    def is_known(self) -> bool:
        """``service.web.auth`` writes down who asks, in the state of the request."""
        is_asking = self.scope is not None
        return self._was_known or (is_asking and "caller" in self.scope["state"])

    @property
    def is_idle(self) -> bool:
        if not self._has_request:
            return True
        return self.cycle.more_body and not self.is_known

    def is_overdue(self, now: float, patience: Patience) -> bool:
        """An answer that is being taken, however slowly, is waited for."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._since = unsent, now
        if unsent:
            return now - self._since > patience.answer
        return not self._has_request and now - self._since > patience.head

    def cut(self) -> None:
        """Without the rest of an answer, which nobody takes."""
        self.transport.abort()

    @property
    def _has_request(self) -> bool:
        """Whether a whole head has come, and its answer is not complete."""
        return self.cycle is not None and not self.cycle.response_complete


def kind_of(connections: Connections) -> type[WatchedProtocol]:
    """The class of the connections that ``connections`` keeps, as uvicorn makes them."""

    class Kept(WatchedProtocol):
        lines = connections

    return Kept
