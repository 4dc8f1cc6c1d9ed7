"""Memory: what a strategy keeps from one proposal to the next, as a shortcut and never as truth.

It hangs on the state's setup, which goes from state to state. Whatever is recalled must be what
would be computed again from the observations, so a restored state proposes the same.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from perfmodel.state import ModelState

T = TypeVar("T")


def remembered(state: ModelState, name: str, compute: Callable[[], T]) -> T:
    """Return what ``compute`` returned for these observations, computing it only once."""
    memory: tuple[object, T] | None = _kept(state).get(name)
    if memory is None or memory[0] is not state.observations:
        memory = state.observations, compute()
        _kept(state)[name] = memory
    return memory[1]


def once(state: ModelState, name: str, compute: Callable[[], T]) -> T:
    """Return what ``compute`` returned; for what no observation changes."""
    if name not in _kept(state):
        _kept(state)[name] = compute()
    found: T = _kept(state)[name]
    return found


def take(state: ModelState, name: str) -> Any:
    """Take something mutable out, None if it is not there; who took it owns it until ``put``."""
    return _kept(state).pop(name, None)


def put(state: ModelState, name: str, value: object) -> None:
    """Leave ``value`` for the next ``take``, perhaps of a state with further observations."""
    _kept(state)[name] = value


def _kept(state: ModelState) -> dict[str, Any]:
    """What is kept, by name; beside the setup's fields, so that its equality ignores it."""
    kept: dict[str, Any] = vars(state.setup).setdefault("memory of strategies", {})
    return kept
