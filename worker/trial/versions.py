"""What a measurement depends on besides its assignment."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import torch

_PACKAGES = ("rankadaptor", "torch", "transformers", "peft", "tokenizers")


@cache
def versions(device: torch.device) -> dict[str, str]:
    """Name the libraries, the interpreter and the device; ``unknown`` where not installed."""
    found = {package: _version(package) for package in _PACKAGES}
    return {**found, "python": platform.python_version(), "device": _device_name(device)}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"
