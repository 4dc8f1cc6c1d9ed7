"""Errors that only the worker tells apart; to everybody else they are what they derive from."""

from rankspace.errors import Unreachable


class NoAnswer(Unreachable):
    """Nothing came back at all: not this request is at fault, but the way to the service."""
