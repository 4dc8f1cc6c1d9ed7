"""Errors that only the worker tells apart; to everybody else they are what they derive from."""

from rankspace.errors import InvalidInput, Unreachable


class NoAnswer(Unreachable):
    """Nothing came back at all: not this request is at fault, but the way to the service."""


class CannotOpen(InvalidInput):
    """The model or the data cannot be opened on this machine: no fault of the trial at hand.

    The trial goes back, and the worker leaves: another trial would fare no better here.
    """
