"""Lessons: what the recorded surfaces teach a search on another one with the same layers."""

from collections.abc import Sequence
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
    return teaching(others(_recorded(), space), space).taught


def others(studies: Sequence[FinishedStudy], space: SearchSpace) -> list[FinishedStudy]:
    """Those of other models than the one with ``space``: another recording of it is no other."""
    own = {one.model for one in studies if one.space == space}
    return [one for one in studies if one.model not in own]


@cache
def _recorded() -> tuple[FinishedStudy, ...]:
    return recorded_studies(DATA)
