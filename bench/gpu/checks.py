"""What has to hold on a GPU: equal back ends, a loop that does not wait, memory that runs out.

Each takes the device, so that on tiny shapes a CPU runs it, too, as far as it can.
"""

import warnings
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.trials.task import ALPHA_PER_RANK, HELD_OUT, OPTIMIZER, SEED, Task
from tuning import memory
from tuning.back_ends import ADAPTER_BACK_ENDS, DEFAULT_BACK_END
from tuning.batches import Passes
from tuning.measuring import mean_loss
from tuning.training import Training, train

WAIT = "called a synchronizing CUDA operation"
"""How torch's warning of it begins."""


def trained(
    task: Task, back_end: str, place: torch.device, dtype: torch.dtype, passes: Passes, steps: int
) -> tuple[Training, float]:
    """Train on a fresh model; return what it came to, and the held-out loss in nats."""
    model, examples = task.model(dtype).to(place), task.examples()
    attached = ADAPTER_BACK_ENDS[back_end].attach(
        model, task.ranks(), alpha_per_rank=ALPHA_PER_RANK, seed=SEED
    )
    batches = task.steps_of(examples, steps)
    found = train(model, attached.parameters, batches, OPTIMIZER, steps=steps, passes=passes)
    return found, mean_loss(model, examples[:HELD_OUT], place)


def difference(task: Task, place: torch.device, dtype: torch.dtype) -> float:
    """Return how far the held-out losses of the two back ends are apart, in nats."""
    passes = Passes(task.micro)
    losses = [
        trained(task, name, place, dtype, passes, task.steps)[1] for name in ("peft", "fused")
    ]
    return abs(losses[0] - losses[1])


def waits(task: Task, place: torch.device, dtype: torch.dtype, steps: int) -> int:
    """Return how often ``steps`` steps of several passes wait for the device.

    A GPU's are those that torch warns of; of a CPU numbers that Python asks of a tensor.
    """
    model = task.model(dtype).to(place)
    attached = ADAPTER_BACK_ENDS[DEFAULT_BACK_END].attach(
        model, task.ranks(), alpha_per_rank=ALPHA_PER_RANK, seed=SEED
    )
    batches = task.steps_of(task.examples(), steps)

    def run() -> None:
        passes = Passes(task.micro)
        train(model, attached.parameters, batches, OPTIMIZER, steps=steps, passes=passes)

    if place.type == "cpu":
        asked = Waits()
        with asked:
            run()
        return int(asked.count)
    run()  # kernels are chosen and loaded
    return _warned(run)


def _warned(run: Any) -> int:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            run()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum(WAIT in str(one.message) for one in said)


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts numbers that Python asks of a tensor: each waits for all that a GPU was told."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def recovered(task: Task, place: torch.device, dtype: torch.dtype) -> tuple[Passes, float]:
    """Train with all of a GPU and with too little of it.

    Returns:
        What was cut down to, and how far the losses of the last step are apart, in nats.
    """
    whole = Passes(task.per_step)
    memory.release(place)
    memory.reset_peak(place)
    before = torch.cuda.memory_allocated(place)
    roomy, _ = trained(task, DEFAULT_BACK_END, place, dtype, whole, 2)
    peak = memory.peak_bytes(place) - before
    memory.release(place)
    total = torch.cuda.get_device_properties(place).total_memory
    kept = torch.cuda.memory_reserved(place)
    torch.cuda.set_per_process_memory_fraction((kept + 0.7 * peak) / total, place)
    try:
        tight, _ = trained(task, DEFAULT_BACK_END, place, dtype, whole, 2)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, place)
    return tight.passes, abs(tight.losses[-1] - roomy.losses[-1])
