"""One memory of what the performance model computed, for all tests of a process.

Most tests work on the same small study, so the model is asked the same over and over. The two
functions here take most of its time and are pure: what they return is their answer to exactly the
same arguments, bit by bit. Whether that is right is the question of the model's own tests.
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
import pytest

from perfmodel.additive import posterior
from perfmodel.additive.basis import Basis
from perfmodel.additive.fit import Fit, refit
from perfmodel.allocation import knapsack
from perfmodel.allocation.knapsack import solve
from perfmodel.arrays import Floats, Integers
from rankspace import Observation

Found = TypeVar("Found")

_FITS: dict[Any, Fit] = {}
_SOLUTIONS: dict[Any, Integers] = {}
_BEGUN_FROM: dict[int, Fit | None] = {}
"""Fits that another began from, by identity: they stay, so that nothing else ever has it."""


def share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the performance model use what it computed for others, until the end of the test."""
    monkeypatch.setattr(posterior, "refit", _refit)
    monkeypatch.setattr(knapsack, "solve", _solve)


def _refit(basis: Basis, seen: tuple[Observation, ...], before: Fit | None, home: int = 0) -> Fit:
    key = (_content(basis), seen, id(before), home)
    _BEGUN_FROM[id(before)] = before
    return _once(_FITS, key, lambda: refit(basis, seen, before, home))


def _solve(values: Floats, weights: Integers, capacity: int, tolerance: float = 0.0) -> Integers:
    key = (_content(values), _content(weights), capacity, tolerance)
    return _once(_SOLUTIONS, key, lambda: solve(values, weights, capacity, tolerance)).copy()


def _once(known: dict[Any, Found], key: Any, compute: Callable[[], Found]) -> Found:
    if key not in known:
        known[key] = compute()
    return known[key]


def _content(value: Any) -> Any:
    """All that tells two arguments apart, as something that can be a key."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if is_dataclass(value):
        return tuple(_content(getattr(value, field.name)) for field in fields(value))
    return tuple(map(_content, value)) if isinstance(value, tuple) else value
