"""What the recovered models of a study score on the metrics that it asks for."""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy.orm import Session

from perfmodel.evidence.rungs.recovered_metrics import UNIFORM, WINNER, Evaluated, recovered_metrics
from rankspace import RankVector, Study, Verdict
from rankspace.evaluation.recovered import Recovered
from service.storage.documents import study_of, verdict_of
from service.storage.tables import StudyRow
from service.trials.results import evaluated

PRUNED, CHEAPEST = "pruned", "cheapest"


def recovered(session: Session, row: StudyRow) -> Recovered:
    """Sum up what was measured so far; nothing of a study that asks for no metric."""
    study = study_of(row)
    if not study.recover.metrics:
        return Recovered(())
    verdict = verdict_of(row.verdict, row.answer)
    runs, models = evaluated(session, row.id), _models(verdict) if verdict else {}
    found = recovered_metrics(study.recover.metrics, runs, models)
    return Recovered(found, tuple(_remarks(study, runs, models)) if runs else ())


def _models(verdict: Verdict) -> Mapping[str, RankVector]:
    """The vectors that may have been recovered, each under the first of its names."""
    uniform = verdict.uniform_rank_vector
    named = {
        PRUNED: RankVector((0,) * len(uniform.ranks)),
        UNIFORM: uniform,
        WINNER: verdict.best_rank_vector,
        CHEAPEST: verdict.cheapest_rank_vector,
    }
    first = {vector: name for name, vector in reversed(named.items())}
    return {name: vector for name, vector in named.items() if first[vector] == name}


def _remarks(
    study: Study, runs: Sequence[Evaluated], models: Mapping[str, RankVector]
) -> Iterator[str]:
    yield (
        "± is one standard error, over documents and, with two seeds or more, over seeds. No claim "
        "is made of these: the verdict is of the held-out loss."
    )
    if study.verify.at == "trial":
        yield "Uniform ranks were not recovered: verify.at: recipe recovers them beside the winner."
    if others := sum(run.rank_vector not in models.values() for run in runs):
        yield f"{others} recoveries of vectors that the verdict does not name are left out."
    if untold := sum(not run.scores for run in runs):
        yield f"{untold} recoveries were not evaluated: no worker was asked."
