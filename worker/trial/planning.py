"""A trial's plan of memory, and how its steps are cut into forward passes to begin with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import structlog
import torch

from rankspace.errors import CannotOpen
from rankspace.pruned_model import Matrix
from rankspace.recipe import Batch
from tuning import memory
from tuning.batches import Passes
from tuning.examples import Example
from tuning.memory_plan.choice import Plans
from tuning.memory_plan.device_memory import DeviceMemory
from tuning.memory_plan.plan import MemoryPlan, gib

PASS_TOKENS: Mapping[str, int] = MappingProxyType({"cuda": 8192, "cpu": 512})
"""Padded tokens of a forward pass where the recipe leaves it to the device, by kind of device.

On a CPU measured (``python -m bench.trials.passes``). On a GPU about what fills one, not measured:
one candidate should have some 8k tokens in flight before several at once bring anything."""

log = structlog.get_logger(__name__)


def asked_passes(batch: Batch, longest: int, device: torch.device) -> Passes:
    """Return how the recipe has steps cut, whatever there is room for.

    Args:
        batch: The recipe's.
        longest: Tokens of the longest example.
        device: Where it runs.
    """
    if batch.micro != "auto":
        return Passes(batch.micro)
    return Passes.of_tokens(PASS_TOKENS[device.type], longest, batch.examples)


def most_targets(examples: Sequence[Example], passes: Passes) -> int:
    """Return how many tokens are predicted in a pass, per example of the greatest length, at most.

    Where short examples may stand in for a long one, so may their answers for its answer.
    """
    if passes.length is None:
        return max(example.targets for example in examples)
    read = passes.length - 1
    return max(-(-example.targets * read // (len(example.tokens) - 1)) for example in examples)


def first_passes(asked: Passes, plans: Plans, free: int | None) -> Passes:
    """Return what to begin with where ``asked`` may be too much, and log where it is less.

    Results are the same but for rounding, so that trials are comparable whatever it says.

    Args:
        asked: As the recipe has it, which is most.
        plans: Of the training.
        free: Bytes that the device has for all of it, weights included; None if not known.

    Returns:
        Of one example at least: a plan is an upper bound, and of what is free a guess. Whether
        memory runs out, the training finds.
    """
    if free is None:
        return asked
    passes = plans.fitting(asked, free)
    if passes is None:
        passes = replace(asked, examples=1, recomputes=True)
        needed = gib(plans.recomputed.use(1).total)
        log.warning("memory_may_run_out", needs_at_most=needed, free=gib(free))
    needed = gib(plans.plain.use(asked.examples).total)
    if passes.examples < asked.examples:
        lowered = {"micro": passes.examples, "asked": asked.examples}
        log.info("micro_batch_lowered", **lowered, needs=needed, free=gib(free))
    if passes.recomputes:
        log.info("blocks_recomputed", micro=passes.examples, needs=needed, free=gib(free))
    return passes


def free_beside(plan: MemoryPlan, device: torch.device) -> int | None:
    """Return what is free where the weights are there already, they included; None if not known."""
    memory.trim(device)
    try:
        return DeviceMemory.of(device).free + plan.weights
    except CannotOpen as error:
        log.warning("memory_unknown", problem=error.problem)
        return None


def by_place(matrices: Sequence[Matrix], ranks: Mapping[str, int]) -> dict[tuple[int, str], int]:
    """Return ``ranks``, which are by full module name, by block and kind."""
    places = {matrix.name: (matrix.block, matrix.module) for matrix in matrices}
    return {places[name]: rank for name, rank in ranks.items()}
