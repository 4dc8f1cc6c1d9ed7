"""Fitness: whether active workers have the memory that a study's trials take, and if not, why."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, exists, or_

from service.storage.scope import ALL
from service.storage.tables import StudyRow, WorkerRow


def has_memory(gib: ColumnElement[Any]) -> ColumnElement[bool]:
    """Where studies are joined: whether a worker with ``gib`` has what their trials take.

    ``Memory.fits`` says the same of rows.
    """
    return (StudyRow.gpu_memory_gib <= gib) & or_(gib == 0, StudyRow.gpu_need_gib <= gib)


_GIB = WorkerRow.gpu_memory_gib
HAS_MEMORY = exists().where(
    StudyRow.id == bindparam("study"), or_(_GIB.is_(None), has_memory(_GIB.expression))
)
"""Of workers: whether nothing of theirs is too small for the trials of the parameter ``study``."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of a worker that gets trials.

    Attributes:
        project: Whose trials it gets; ``*`` for all.
        gib: Of its GPU; 0 without one, None where it does not say, which nothing is kept from.
    """

    project: str
    gib: float | None

    def serves(self, row: StudyRow) -> bool:
        """Whether it gets trials of the study's project."""
        return self.project in (ALL, row.project)

    def fits(self, row: StudyRow) -> bool:
        """Whether it has what the study's trials take, as the claim decides it."""
        if self.gib is None:
            return True
        need = 0.0 if self.gib == 0.0 else row.gpu_need_gib
        return max(row.gpu_memory_gib, need) <= self.gib


def getting(row: StudyRow, memories: Mapping[Memory, int]) -> int:
    """Count the active workers that may get trials of the study."""
    return sum(count for one, count in memories.items() if one.serves(row) and one.fits(row))


def unfit(row: StudyRow, memories: Mapping[Memory, int]) -> str | None:
    """Say why none of the active workers gets trials of the study; None if one may, or none is."""
    if not memories or getting(row, memories):
        return None
    mine = [memory for memory in memories if memory.serves(row)]
    if not mine:
        return f"no active worker is of project {row.project}"
    has = _largest(max(memory.gib or 0.0 for memory in mine))
    if row.gpu_memory_gib:
        stated = f"the study states gpu_memory_gib: {row.gpu_memory_gib:g}"
        return f"{stated}, and {has}; start a worker whose GPU has that much"
    need = math.ceil(row.gpu_need_gib * 100) / 100  # GPUs that lack a little look as they are
    return (
        f"a trial was worked out to take {need:.2f} GiB of a GPU, and {has}; start a "
        "worker with a larger one or without any, or submit the study with gpu_memory_gib: 0, "
        "which lets all of them try"
    )


def _largest(gib: float) -> str:
    if not gib:
        return "no active worker has a GPU"
    return f"the largest GPU of an active worker has {math.floor(gib * 100) / 100:.2f} GiB"
