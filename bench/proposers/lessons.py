"""Lessons: what the recorded surfaces teach a search on another one with the same layers."""

from functools import cache

from bench.proposers.problems.surfaces import DATA
from perfmodel.meta.finished import FinishedStudy
from perfmodel.meta.teaching import teaching
from rankadaptor.meta.surfaces import recorded_studies
from rankspace import SearchSpace
from rankspace.observation import Taught


def rows_of_other_surfaces(space: SearchSpace) -> Taught | None:
    """Trials on layers of the same names; None if no other surface has them.

    Layers are told by their names alone, as in a study: another base model of as many blocks
    counts, like other prunings of the same one.
    """
    return teaching([one for one in _recorded() if one.space != space], space).taught


@cache
def _recorded() -> tuple[FinishedStudy, ...]:
    return recorded_studies(DATA)
