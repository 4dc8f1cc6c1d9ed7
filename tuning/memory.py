"""Device memory in bytes: what running out looks like, how to give it back, and its peak."""

import ctypes
import gc
import resource
import sys

import torch

_CPU_MESSAGE = "can't allocate memory"


def is_exhausted(error: BaseException) -> bool:
    """Whether ``error`` says that the device, or on a CPU the machine, is out of memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and _CPU_MESSAGE in str(error)


def is_broken(error: BaseException) -> bool:
    """Whether ``error`` left the GPU's context unusable until the process ends."""
    return isinstance(error, torch.AcceleratorError) and not is_exhausted(error)


def release(device: torch.device) -> None:
    """Return unreachable tensors' memory to the device."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    trim(device)


def trim(device: torch.device) -> None:
    """Return to the system what a CPU's heap keeps of freed tensors; takes milliseconds.

    glibc keeps freed pieces of up to 32 MiB for later, and the system counts them as taken. Other C
    libraries are left alone.
    """
    if device.type != "cpu" or sys.platform != "linux":
        return
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give_back is not None:
        give_back(0)


def total_bytes(device: torch.device) -> int:
    """Memory of a GPU; 0 on a CPU."""
    return torch.cuda.mem_get_info(device)[1] if device.type == "cuda" else 0


def reset_peak(device: torch.device) -> None:
    """Let ``peak_bytes`` begin anew; a GPU's only."""
    torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: torch.device) -> int:
    """Peak since ``reset_peak`` on a GPU; on a CPU the process's peak since its start."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
