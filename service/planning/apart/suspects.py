"""Suspects: which work may have ended the process that does it."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class Suspects:
    """Has work go on one at a time that was under way when the process ended.

    Of several pieces nobody knows whose fault it was, so none is charged; each of them is then done
    with nothing beside it, and whoever ends the process so is charged.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way: list[Hashable] = []
        self._suspects: set[Hashable] = set()
        self._waiting = 0
        self._is_alone = False
        self._charges: dict[Hashable, int] = {}
        self._last: tuple[object, frozenset[Hashable]] = (None, frozenset())

    @contextmanager
    def work(self, on: Hashable) -> Iterator[None]:
        """Wait until it may be done; it is under way until the block ends."""
        with self._changed:
            is_suspect = on in self._suspects
            self._wait_alone() if is_suspect else self._changed.wait_for(self._is_open)
            self._is_alone = is_suspect
            self._under_way.append(on)
        try:
            yield
        finally:
            with self._changed:
                self._under_way.remove(on)
                self._is_alone = False
                self._changed.notify_all()

    def ended(self, life: object, on: Hashable) -> int:
        """Note that ``life`` ended with ``on`` under way; return how often ``on`` is charged."""
        with self._changed:
            if self._last[0] is not life:
                self._last = life, frozenset(self._under_way)
            if self._last[1] == {on}:
                self._charges[on] = self._charges.get(on, 0) + 1
            self._suspects.add(on)
            return self._charges.get(on, 0)

    def charges(self, on: Hashable) -> int:
        """How often ``on`` has ended the process, alone, since it was last cleared."""
        with self._changed:
            return self._charges.get(on, 0)

    def clear(self, on: Hashable) -> None:
        """Note that ``on`` was done to its end."""
        with self._changed:
            self._suspects.discard(on)
            self._charges.pop(on, None)

    def _wait_alone(self) -> None:
        self._waiting += 1
        try:
            self._changed.wait_for(lambda: not self._under_way)
        finally:
            self._waiting -= 1

    def _is_open(self) -> bool:
        return not self._is_alone and not self._waiting
