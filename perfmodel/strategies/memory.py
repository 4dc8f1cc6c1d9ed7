"""Memory: what a strategy keeps from one proposal to the next, as a shortcut and never as truth.

It hangs on the state's ground, which goes from state to state. Whatever is recalled must be what
would be computed again from the observations, so a restored state proposes the same.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from perfmodel.state import ModelState

T = TypeVar("T")


def remembered(state: ModelState, name: str, compute: Callable[[], T]) -> T:
    """Return what ``compute`` returned for these observations, computing it only once."""
    memory: tuple[object, T] | None = vars(state.ground).get(name)
    if memory is None or memory[0] is not state.observations:
        memory = state.observations, compute()
        vars(state.ground)[name] = memory
    return memory[1]


def once(state: ModelState, name: str, compute: Callable[[], T]) -> T:
    """Return what ``compute`` returned; for what no observation changes."""
    if name not in vars(state.ground):
        vars(state.ground)[name] = compute()
    found: T = vars(state.ground)[name]
    return found


def take(state: ModelState, name: str) -> Any:
    """Take something mutable out, None if it is not there; who took it owns it until ``put``."""
    return vars(state.ground).pop(name, None)


def put(state: ModelState, name: str, value: object) -> None:
    """Leave ``value`` for the next ``take``, perhaps of a state with further observations."""
    vars(state.ground)[name] = value
