"""The roster: every arm by name."""

from collections.abc import Mapping
from types import MappingProxyType

from bench.proposers.arms import Arm, Own
from bench.proposers.lessons import rows_of_other_surfaces
from bench.proposers.peers.ax_library import open_ax
from bench.proposers.peers.optuna_library import (
    cmaes_sampler,
    gp_sampler,
    opener,
    random_sampler,
    tpe_sampler,
)
from bench.proposers.peers.peer import Peer
from perfmodel import STRATEGIES
from rankspace.errors import InvalidInput

ROWS = "rankadaptor+rows"
"""``rankadaptor``, taught offline by the trials of recorded surfaces with the same layers."""

OWN = ("additive", "blend", "rankadaptor", ROWS, "xgboost", "gp", "tpe", "cmaes", "swap", "random")
"""Our strategies that a run asks unless told otherwise, as far as they exist."""

QUICK = ("additive", "swap", "random")

PEERS: Mapping[str, Arm] = MappingProxyType(
    {
        f"{name}{suffix}": Peer(package, begin, projected=bool(suffix))
        for name, package, begin in (
            ("optuna-tpe", "optuna", opener(tpe_sampler)),
            ("optuna-cmaes", "optuna", opener(cmaes_sampler)),
            ("optuna-gp", "optuna", opener(gp_sampler)),
            ("ax", "ax-platform", open_ax),
            ("optuna-random", "optuna", opener(random_sampler)),
        )
        for suffix in ("", "+budget")
    }
)
"""``+budget``: what it asks is repaired onto the budget."""

SLOW = frozenset({"optuna-gp", "optuna-gp+budget", "ax", "ax+budget"})
"""Seconds of CPU per trial: run only when named, else what is stored is shown."""


def default_arms(quick: bool) -> tuple[str, ...]:
    own = QUICK if quick else OWN
    return (*(name for name in own if name in own_arms()), *PEERS)


def own_arms() -> frozenset[str]:
    return frozenset({*(name.value for name in STRATEGIES), ROWS})


def arm(name: str) -> Arm:
    """Return the arm called ``name``.

    Raises:
        InvalidInput: There is none.
    """
    if name in PEERS:
        return PEERS[name]
    if name == ROWS:
        return Own("rankadaptor", taught=rows_of_other_surfaces)
    if name in own_arms():
        return Own(name)
    raise InvalidInput("arms", name, "unknown", fix=f"use some of {[*sorted(own_arms()), *PEERS]}")
