"""Connections: who is on the line, and who has to go when it is full, or when nothing comes.

Whoever is owed an answer gets it. Cut are those on whom the service waits: for the head of a
request, for a stranger's body, for an answer to be taken. Who has shown a valid key over the same
connection is a stranger no more; behind a proxy that is soon every connection.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import structlog

from service.access.neighbours import neighbourhood

log = structlog.get_logger(__name__)

SELDOM_SECONDS = 60.0
"""How often the log says that connections were cut: it must not be a way to fill the disk."""


class Watched(Protocol):
    """One connection.

    Attributes:
        address: Of whoever is at the other end.
        is_known: Whether a valid key or session has come over it.
        is_idle: Whether it waits for the other end, and is owed nothing.
    """

    @property
    def address(self) -> str: ...
    @property
    def is_known(self) -> bool: ...
    @property
    def is_idle(self) -> bool: ...
    def is_overdue(self, now: float, patience: "Patience") -> bool: ...
    def cut(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection may keep the service waiting, in seconds.

    Attributes:
        head: For a request's head, from its opening or the last answer on.
        answer: Without taking anything of an answer.
    """

    head: float
    answer: float


@dataclass(frozen=True, slots=True)
class Room:
    """How many connections there may be.

    Attributes:
        total: In all.
        each: Of strangers from one address, but for a proxy's.
    """

    total: int
    each: int

    @property
    def strangers(self) -> int:
        """Of strangers in all: half, so that the other half is for whoever has a key."""
        return max(self.total // 2, 1)


class Connections:
    """Lets connections in and cuts them; used on the event loop only.

    Args:
        room: How many there may be.
        patience: How long each may be silent.
        is_proxy: Whether an address is that of a proxy, which speaks for many.
        note_cut: Told why, for each that is cut or not let in.
    """

    def __init__(
        self,
        room: Room,
        patience: Patience,
        is_proxy: Callable[[str], bool] = lambda _address: False,
        note_cut: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self._room = room
        self._patience = patience
        self._is_proxy = is_proxy
        self._note_cut = note_cut
        self._open: dict[Watched, None] = {}  # these three by age
        self._strangers: dict[Watched, str] = {}
        self._near: dict[str, dict[Watched, None]] = {}
        self._said_at = -math.inf

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, line: Watched) -> bool:
        """Let ``line`` in, in the place of an idle one if need be; False where there is none."""
        near = neighbourhood(line.address)
        if not self._has_room(line.address, near):
            self._note(line.address, "crowded")
            return False
        self._open[line] = None
        self._strangers[line] = near
        self._near.setdefault(near, {})[line] = None
        return True

    def leave(self, line: Watched) -> None:
        """Forget ``line``; again, or one that was never let in, changes nothing."""
        self._recognise(line)
        self._open.pop(line, None)

    async def sweep(self) -> None:
        """Cut whoever has kept the service waiting too long; to be called once a second or so."""
        now = time.monotonic()
        for line in list(self._open):
            if line.is_overdue(now, self._patience):
                self._cut(line, "slow")

    def _has_room(self, address: str, near: str) -> bool:
        return (
            (self._is_proxy(address) or self._shrink(self._near.get(near, {}), self._room.each))
            and self._shrink(self._strangers, self._room.strangers)
            and self._shrink_all()
        )

    def _shrink(self, strangers: Mapping[Watched, object], most: int) -> bool:
        """Make room for one more among ``strangers``, the oldest first; whether there is."""
        for line in list(strangers) if len(strangers) >= most else ():
            if len(strangers) < most:
                break
            if line.is_known:
                self._recognise(line)
            elif line.is_idle:
                self._cut(line, "crowded")
        return len(strangers) < most

    def _shrink_all(self) -> bool:
        if len(self._open) < self._room.total:
            return True
        idle = next((line for line in chain(self._strangers, self._open) if line.is_idle), None)
        if idle is not None:
            self._cut(idle, "crowded")
        return idle is not None

    def _recognise(self, line: Watched) -> None:
        """Count ``line`` among strangers no more."""
        near = self._strangers.pop(line, None)
        if near is not None:
            del self._near[near][line]
            if not self._near[near]:
                del self._near[near]

    def _cut(self, line: Watched, reason: str) -> None:
        self._note(line.address, reason)
        self.leave(line)
        line.cut()

    def _note(self, address: str, reason: str) -> None:
        self._note_cut(reason)
        now = time.monotonic()
        if now - self._said_at >= SELDOM_SECONDS:
            self._said_at = now
            log.warning(
                "a connection was cut", reason=reason, address=address, open=len(self._open)
            )
