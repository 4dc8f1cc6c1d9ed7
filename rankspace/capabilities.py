"""Capabilities: what a worker can run, so that trials go where they fit."""

import math
from dataclasses import dataclass

from rankspace.errors import InvalidInput

MAX_ARCHITECTURES = 50


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a worker says of itself when it claims.

    Attributes:
        gpu_memory_gib: Memory of its GPU; 0 without one.
        architectures: Model classes it can load, as in ``config.json``; empty for any.
        resident: Fingerprint of the model that is loaded already; its trials come first.
    """

    gpu_memory_gib: float = 0.0
    architectures: tuple[str, ...] = ()
    resident: str | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.gpu_memory_gib < math.inf:
            problem = "must be 0 or more"
            raise InvalidInput("gpu_memory_gib", self.gpu_memory_gib, problem, fix="count GiB")
        if len(self.architectures) > MAX_ARCHITECTURES:
            count, most = len(self.architectures), f"name at most {MAX_ARCHITECTURES}"
            raise InvalidInput("architectures", count, "are too many", fix=most)
