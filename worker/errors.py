"""Errors that only the worker tells apart; to everybody else they are what they derive from."""

from rankspace.errors import Unreachable


class NoAnswer(Unreachable):
    """Nothing came back at all: not this request is at fault, but the way to the service."""


class Busy(Unreachable):
    """The service asks to come back later.

    Attributes:
        wait_seconds: When, by its own word.
    """

    def __init__(self, detail: str, *, hint: str = "", wait_seconds: float = 1.0) -> None:
        super().__init__(detail, hint=hint)
        self.wait_seconds = wait_seconds
