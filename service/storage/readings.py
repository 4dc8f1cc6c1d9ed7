"""Readings: what stored texts were read as, kept within a number of characters."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")

KEPT_CHARACTERS = 16 << 20
"""Of the texts of one kind: what is made of them takes some four times as many bytes."""


class Readings(Generic[T]):
    """A reader of texts that never change, which remembers; for any thread.

    Those read least lately are forgotten first, and one longer than all that is kept is read anew
    each time: a few descriptions of models with thousands of matrices would fill the memory.
    """

    def __init__(self, read: Callable[[str], T], most: int = KEPT_CHARACTERS) -> None:
        self._read = read
        self._most = most
        self._lock = Lock()
        self._known: OrderedDict[str, T] = OrderedDict()
        self._characters = 0

    def __call__(self, text: str) -> T:
        """Return what ``text`` says; the same object as long as it is remembered."""
        with self._lock:
            if text in self._known:
                self._known.move_to_end(text)
                return self._known[text]
        found = self._read(text)
        if len(text) <= self._most:
            self._keep(text, found)
        return found

    def _keep(self, text: str, found: T) -> None:
        with self._lock:
            self._characters += 0 if text in self._known else len(text)
            self._known[text] = found
            while self._characters > self._most:
                dropped, _ = self._known.popitem(last=False)
                self._characters -= len(dropped)
