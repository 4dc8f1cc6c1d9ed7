"""Which passes of a training fit into a device's memory, and are not slower than need be."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Self

from tuning.batches import Passes
from tuning.memory_plan.plan import MemoryPlan
from tuning.memory_plan.training_shape import TrainingShape

LEAST_TOKENS: Mapping[str, int] = MappingProxyType({"cuda": 512, "cpu": 1})
"""Tokens of a pass, of which fewer are slower than to compute blocks twice, by kind of device.

Twice is half as many operations more: a forward pass, a backward pass that only passes gradients
on, and one forward pass again. On a CPU small passes are hardly slower. On a GPU they are: an A100
was published to train 7 billion parameters at 1.71k tokens/s in passes of 256 tokens, 2.73k of 512
and 3.15k of 2,048 (README of QwenLM/Qwen); not measured by us."""


@dataclass(frozen=True, slots=True)
class Plans:
    """The two ways of a training.

    Attributes:
        plain: All is kept for the backward pass.
        recomputed: Blocks are computed once more.
        kind: Of the device.
    """

    plain: MemoryPlan
    recomputed: MemoryPlan
    kind: str

    @classmethod
    def of(cls, training: TrainingShape, kind: str) -> Self:
        """Work both out, for a device of ``kind``: ``cpu`` or ``cuda``."""
        plain, recomputed = (MemoryPlan.of(training, kind, recomputes=it) for it in (False, True))
        return cls(plain, recomputed, kind)

    @property
    def least(self) -> MemoryPlan:
        """Return the plan of the way that takes less with one example."""
        return min(self.plain, self.recomputed, key=lambda plan: plan.use(1).total)

    def plan(self, passes: Passes) -> MemoryPlan:
        """Return the plan of ``passes``."""
        return self.recomputed if passes.recomputes else self.plain

    def fitting(self, asked: Passes, free: int) -> Passes | None:
        """Return as much of ``asked`` as fits into ``free`` bytes, weights included.

        Blocks are computed twice where not one example fits without, or where a pass would come to
        fewer tokens than LEAST_TOKENS, and to more of them with it.

        Returns:
            None where not one example fits either way.
        """
        plain = self.plain.largest(free, asked.examples)
        enough = plain * (self.plain.tokens + 1) >= LEAST_TOKENS[self.kind]
        if plain == asked.examples or (plain and enough):
            return replace(asked, examples=plain)
        more = self.recomputed.largest(free, asked.examples)
        if more > plain:
            return replace(asked, examples=more, recomputes=True)
        return replace(asked, examples=plain) if plain else None
