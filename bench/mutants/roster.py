"""MUTANTS: all of them by name."""

from collections.abc import Mapping
from types import MappingProxyType

from bench.mutants import (
    adapters,
    checkpoints,
    data,
    evaluations,
    memory,
    pruning,
    rate_searches,
    training,
    trials,
)
from bench.mutants.mutant import Mutant

GROUPS = tuple(
    group.MUTANTS
    for group in (
        training,
        adapters,
        memory,
        data,
        checkpoints,
        trials,
        evaluations,
        pruning,
        rate_searches,
    )
)

MUTANTS: Mapping[str, Mutant] = MappingProxyType(
    {name: mutant for group in GROUPS for name, mutant in group.items()}
)
