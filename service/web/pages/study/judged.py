"""What a study may claim, as pictures: each comparison on its paired seeds."""

from collections.abc import Iterator, Sequence

from sqlalchemy.orm import Session

from perfmodel.evidence.scores import paired, scores_of
from rankspace import Comparison, RankVector, Verdict
from service.storage.documents import study_of
from service.storage.tables import StudyRow
from service.studies.findings import fresh_seeds
from service.trials.results import verified
from service.web.pages.charts.pairs import Strip, strips

Judged = tuple[str, Comparison, Sequence[tuple[int, float]]]


def judged_strips(session: Session, row: StudyRow, verdict: Verdict) -> tuple[Strip, ...]:
    """Every comparison of ``verdict``, the main one first."""
    return strips([*_judged(session, row, verdict)])


def _judged(session: Session, row: StudyRow, verdict: Verdict) -> Iterator[Judged]:
    winner = verdict.best_rank_vector
    for name, rival, comparison in _rivals(verdict):
        yield name, comparison, _pairs(session, row, verdict, (winner, rival), comparison)
    if verdict.recipe and verdict.recipe.comparison:
        pairs = [
            (one.seed, one.winner - one.uniform)
            for one in verdict.recipe.pairs
            if one.winner is not None and one.uniform is not None
        ]
        yield "uniform ranks, after the whole recipe", verdict.recipe.comparison, pairs


def _rivals(verdict: Verdict) -> Iterator[tuple[str, RankVector | None, Comparison]]:
    yield "uniform ranks", verdict.uniform_rank_vector, verdict.versus_uniform
    if verdict.versus_random is not None:
        yield "the best of the random vectors", None, verdict.versus_random
    for control in verdict.controls:
        if control.comparison is not None:
            yield control.name, control.rank_vector, control.comparison


def _pairs(
    session: Session,
    row: StudyRow,
    verdict: Verdict,
    vectors: tuple[RankVector, RankVector | None],
    comparison: Comparison,
) -> Sequence[tuple[int, float]]:
    """Seed and difference of each pair the comparison rests on, in the order of the rounds.

    None of a rival that the verdict does not name, and none where what is stored does not come to
    the mean that was told, as after an extension that moved the seeds.
    """
    winner, rival = vectors
    if rival is None:
        return ()
    looks = verdict.looks_before + verdict.extensions
    rounds = comparison.seeds + comparison.failed
    seeds = fresh_seeds(study_of(row), looks, row.controls).judging(rounds)
    scores = scores_of(verified(session, row.id))
    found = [
        (seed, difference)
        for seed in seeds
        for difference in paired(winner, rival, scores, (seed,)).differences
    ]
    mean = sum(difference for _, difference in found) / len(found) if found else None
    is_it = mean is not None and abs(mean - comparison.gain) <= 1e-9 + 1e-6 * abs(comparison.gain)
    return found if is_it else ()
