"""A trial's plan of memory, and with how many examples per forward pass it begins."""

from collections.abc import Mapping, Sequence

import structlog
import torch

from rankspace.errors import CannotOpen
from rankspace.pruned_model import Matrix
from tuning import memory
from tuning.memory_plan.device_memory import DeviceMemory
from tuning.memory_plan.plan import MemoryPlan, gib

log = structlog.get_logger(__name__)


def first_micro(asked: int, plan: MemoryPlan, free: int | None) -> int:
    """Return with how many examples per forward pass to begin, and log where it is fewer.

    Results are the same but for rounding, so that trials are comparable whatever it says.

    Args:
        asked: The recipe's micro-batch, which is most.
        plan: Of the training.
        free: Bytes that the device has for all of it, weights included; None if not known.

    Returns:
        At least 1: a plan is an upper bound, and of what is free a guess. Whether memory runs out,
        the training finds.
    """
    if free is None:
        return asked
    fitting = plan.largest(free, asked)
    if not fitting:
        log.warning("memory_may_run_out", needs_at_most=gib(plan.use(1).total), free=gib(free))
    micro = max(1, fitting)
    if micro < asked:
        needed = plan.use(asked).total
        log.info("micro_batch_lowered", micro=micro, asked=asked, needs=gib(needed), free=gib(free))
    return micro


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
