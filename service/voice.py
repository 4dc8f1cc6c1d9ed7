"""Voice: what the key a request came with has to do with the worker in whose name it speaks."""

from dataclasses import dataclass

from service.scope import ALL


@dataclass(frozen=True, slots=True)
class Voice:
    """A name carries rights: not every key that speaks for workers may use every name.

    Attributes:
        project: Of the key; ``*`` for one of all projects.
        is_bound: Whether the key is this worker's own.
    """

    project: str = ALL
    is_bound: bool = False


LOCAL = Voice()
"""The key of the first start, on one machine."""
