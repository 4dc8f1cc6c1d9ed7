"""A survey's part of a trial: which ranks its adapter takes, in the training and afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rankspace import RankVector
from rankspace.errors import TrialFailed
from rankspace.lease import Assignment
from tuning.back_ends import Attached, assigned_ranks
from tuning.elastic.adapter import ElasticAdapter
from tuning.elastic.schemes import Scheme, forms
from tuning.training import Forms

SHARE = 4
"""One in so many examples of the selection half is what a surveyed vector is scored on: the error
of that is nearly the same for all of them, and they are many."""

SCHEME = Scheme.SAMPLED
"""What a step trains (`python -m bench.survey`)."""


def forms_of(assignment: Assignment, adapter: ElasticAdapter, modules: Sequence[str]) -> Forms:
    """The forms of the training; a vector of the pool without any rank has nothing to train."""
    given = assignment.survey.pool if assignment.survey else ()
    pool = [ranks for ranks in _ranks_of(assignment, given, modules) if ranks]
    return forms(adapter, pool or [adapter.largest], assignment.steps, assignment.seed, SCHEME)


def is_trained(assignment: Assignment) -> bool:
    """Whether it only scores, on what another trial of the study trained."""
    return assignment.survey is not None and assignment.survey.adapter is not None


def take_over(assignment: Assignment, attached: Attached, kept: Path | None) -> None:
    """Load the weights ``kept`` into ``attached``, where the assignment scores on such.

    Raises:
        TrialFailed: They are of another adapter, or not there.
    """
    if not is_trained(assignment):
        return
    if kept is None or not isinstance(attached, ElasticAdapter):
        raise TrialFailed("the survey's adapter is not there", hint="upgrade the worker")
    attached.load(kept)


def vectors_of(assignment: Assignment, modules: Sequence[str]) -> list[Mapping[str, int]]:
    """The vectors to score, as the ranks of full module names; none of any other trial."""
    given = assignment.survey.vectors if assignment.survey else ()
    return _ranks_of(assignment, given, modules)


def _ranks_of(
    assignment: Assignment, vectors: Sequence[Sequence[int]], modules: Sequence[str]
) -> list[Mapping[str, int]]:
    return [
        assigned_ranks(replace(assignment, rank_vector=RankVector(tuple(ranks))), modules)
        for ranks in vectors
    ]
