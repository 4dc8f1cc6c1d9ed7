"""What this process takes: seconds, and memory of a GPU as torch allocated it or of a machine."""

import time
from pathlib import Path

import torch

from tuning import memory


def reset(place: torch.device) -> None:
    """Let ``peak`` begin anew."""
    if place.type == "cuda":
        memory.reset_peak(place)
    else:
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew


def peak(place: torch.device) -> int:
    """Bytes, since the last ``reset``."""
    return memory.peak_bytes(place) if place.type == "cuda" else resident("VmHWM")


def resident(name: str) -> int:
    """Bytes of a line of Linux's ``status``: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


def now(place: torch.device) -> float:
    """Seconds: of a CPU only those that this process had of it, of a GPU when all is done."""
    if place.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()
