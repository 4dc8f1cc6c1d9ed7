"""The device that a plan of memory is for: of this machine, or one that is only told of."""

from typing import TYPE_CHECKING

from rankadaptor.doctor.memory_size import parse_size

if TYPE_CHECKING:
    import torch

    from tuning.memory_plan.device_memory import DeviceMemory


def device_and_memory(name: str, memory: str | None) -> tuple["torch.device", "DeviceMemory"]:
    """Return the device called ``name`` and what memory it has, or ``memory`` where it is given.

    Raises:
        InvalidInput: There is no such device, or ``memory`` is no size.
        CannotOpen: How much memory the machine has is not known.
    """
    from tuning.memory_plan.device_memory import DeviceMemory

    size = parse_size(memory) if memory is not None else None
    place = _place(name, is_pretended=size is not None)
    if size is None:
        return place, DeviceMemory.of(place)
    return place, DeviceMemory.pretended(place.type, size)


def _place(name: str, *, is_pretended: bool) -> "torch.device":
    """The device; one whose size is pretended need not be there, and is a GPU if not named."""
    import torch

    from tuning.device import device_named, kind_named

    if name == "auto":
        is_gpu = is_pretended or torch.cuda.is_available()
        return torch.device("cuda" if is_gpu else "cpu")
    return torch.device(kind_named(name)) if is_pretended else device_named(name)
