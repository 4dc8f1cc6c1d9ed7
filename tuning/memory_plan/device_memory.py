"""DeviceMemory: how large a device's memory is, and how much of it nobody has.

On a CPU that is the machine's, or what the control groups that this process is in let it have.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch

from rankspace.errors import CannotOpen

RESERVED = 600 * 2**20
"""Bytes that CUDA takes of a GPU for a process, or the program of a worker of a machine."""

_UNLIMITED = 2**60
"""Bytes of a limit that is none; the first version of control groups writes a number there."""


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Of one device.

    Attributes:
        name: Of the device, for a person.
        total: Bytes in all, of those that a limit leaves.
        free: Bytes that can still be had; what torch keeps for later is among them, and of a CPU
            memory of files that can be read again, but for this process's own: its libraries, and
            weights that it reads out of their files.
    """

    name: str
    total: int
    free: int

    @classmethod
    def of(cls, device: torch.device) -> Self:
        """Look at a device of this machine.

        Raises:
            CannotOpen: How much memory the machine has is not known.
        """
        if device.type == "cuda":
            free, total = torch.cuda.mem_get_info(device)
            kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
            return cls(torch.cuda.get_device_name(device), total, free + kept)
        total, free = machine_memory()
        return cls("CPU", total, free)

    @classmethod
    def pretended(cls, kind: str, total: int) -> Self:
        """A device that this machine need not have, of which nobody takes anything yet."""
        name = "a CPU" if kind == "cpu" else "a GPU"
        return cls(f"{name} as asked for", total, max(0, total - RESERVED))


def machine_memory(root: Path = Path("/")) -> tuple[int, int]:
    """Return how many bytes there are and how many are available to this process.

    Args:
        root: Where ``proc`` and ``sys`` lie.

    Raises:
        CannotOpen: What they say is not understood.
    """
    try:
        return _least(root)
    except (LookupError, ValueError, OSError) as error:
        raise CannotOpen(
            "memory",
            str(root),
            f"how much is free is not known: /proc or /sys says what is not understood ({error!r})",
            fix="give a size, as --memory 24GiB --device cpu",
        ) from error


def _least(root: Path) -> tuple[int, int]:
    total, free = _whole_machine(root)
    for limit, used in _limits(root):
        total, free = min(total, limit), min(free, limit - used)
    return total, max(0, free - _own_files(root))


def _own_files(root: Path) -> int:
    """Bytes of files that this process has in memory, which is available only in name."""
    try:
        lines = (root / "proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    found = (line.split()[1] for line in lines if line.startswith("RssFile:"))
    return int(next(found, "0")) << 10


def _whole_machine(root: Path) -> tuple[int, int]:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:  # not Linux: what others take is not known
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return whole, whole
    found = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    return int(found["MemTotal"][0]) << 10, int(found["MemAvailable"][0]) << 10


def _limits(root: Path) -> Iterator[tuple[int, int]]:
    """Yield limit and use of each control group around this process that has a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            yield from _groups(root / "sys/fs/cgroup", path, "memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            names = "memory.limit_in_bytes", "memory.usage_in_bytes"
            yield from _groups(root / "sys/fs/cgroup/memory", path, *names)


def _groups(mount: Path, path: str, limit: str, usage: str) -> Iterator[tuple[int, int]]:
    # Inside a container its own group is the mount itself, whatever the path says.
    for group in (mount / path.lstrip("/"), *(mount / path.lstrip("/")).parents):
        if not group.is_relative_to(mount):
            return
        most, used = _number(group / limit), _number(group / usage)
        if most is not None and used is not None and most < _UNLIMITED:
            yield most, used - _reclaimable(group)


def _reclaimable(group: Path) -> int:
    """Bytes of files that the group read and that could be read again."""
    try:
        lines = (group / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    found = dict(line.split(" ", 1) for line in lines if " " in line)
    first = "total_" if "total_inactive_file" in found else ""  # with groups inside of it
    return sum(int(found.get(f"{first}{name}_file", 0)) for name in ("inactive", "active"))


def _number(file: Path) -> int | None:
    """What a file says; None where it says ``max``, or is not there."""
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
