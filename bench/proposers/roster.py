"""The roster: every arm by name."""

from collections.abc import Mapping
from types import MappingProxyType

from bench.proposers.arms import Arm, Own
from perfmodel import STRATEGIES
from rankspace.errors import InvalidInput

OWN = ("additive", "rankadaptor", "xgboost", "gp", "tpe", "cmaes", "swap", "random")
"""Our strategies that a run asks unless told otherwise, as far as they exist."""

PEERS: Mapping[str, Arm] = MappingProxyType({})
SLOW = frozenset({"optuna-gp", "optuna-gp+budget", "ax", "ax+budget"})
"""Seconds of CPU per trial: run only when named, else what is stored is shown."""


def default_arms() -> tuple[str, ...]:
    return (*(name for name in OWN if name in own_arms()), *PEERS)


def own_arms() -> frozenset[str]:
    return frozenset(name.value for name in STRATEGIES)


def arm(name: str) -> Arm:
    """Return the arm called ``name``.

    Raises:
        InvalidInput: There is none.
    """
    if name in PEERS:
        return PEERS[name]
    if name in own_arms():
        return Own(name)
    raise InvalidInput("arms", name, "unknown", fix=f"use some of {[*sorted(own_arms()), *PEERS]}")
