"""Room: whether the weights of a pickle fit into the machine's memory, said in numbers."""

from pathlib import Path

from rankspace.errors import CannotOpen, InvalidInput
from tuning.memory_plan.device_memory import machine_memory
from tuning.memory_plan.plan import gib


def check_room(pickle: Path, weights: int) -> None:
    """Check that ``weights`` bytes are free; a container is written of a model in memory.

    Raises:
        InvalidInput: They are not.
    """
    try:
        _, free = machine_memory()
    except CannotOpen:  # nobody knows: then it has to be tried
        return
    if weights > free:
        raise too_large(pickle, "weights", weights)


def too_large(pickle: Path, what: str, size: int) -> InvalidInput:
    """Say that ``size`` bytes of ``pickle`` do not fit, and how much does."""
    try:
        free = f"{gib(machine_memory()[1])} is free"
    except CannotOpen:
        free = "less is free"
    return InvalidInput(
        "source",
        pickle.name,
        f"its {what} take {gib(size)} of memory, where {free}",
        fix=f"end other programs, or run it on a machine with {gib(size)} of free memory and copy "
        "the container from there",
    )
