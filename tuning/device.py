"""The device that a person names, checked before anything is read for it."""

import re

import torch

from rankspace.errors import InvalidInput

_INDEX = re.compile(r"0|[1-9][0-9]{0,2}")
"""Of a GPU, as torch writes it."""


def device_named(name: str) -> torch.device:
    """Return the device: ``cpu``, ``cuda`` or, of several GPUs, ``cuda:1``.

    Raises:
        InvalidInput: It is none of these, or torch sees no such GPU.
    """
    if kind_named(name) == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise InvalidInput("device", name, "torch sees no GPU", fix="use cpu")
    if int(name.partition(":")[2] or 0) >= count:
        raise _too_high(name, count)
    return torch.device(name)


def kind_named(name: str) -> str:
    """Return ``cpu`` or ``cuda``, whether or not there is such a device.

    Raises:
        InvalidInput: It is not written as one.
    """
    kind, colon, number = name.partition(":")
    is_gpu = kind == "cuda" and (not colon or _INDEX.fullmatch(number))
    if name != "cpu" and not is_gpu:
        raise InvalidInput("device", name, "is not a device", fix="use cpu, cuda or cuda:1")
    return kind


def _too_high(name: str, count: int) -> InvalidInput:
    if count == 1:
        return InvalidInput("device", name, "torch sees one GPU", fix="use cuda")
    fix = f"use cuda:0 to cuda:{count - 1}"
    return InvalidInput("device", name, f"torch sees {count} GPUs", fix=fix)
