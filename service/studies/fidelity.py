"""How far the rungs of a study's ladder rank vectors alike: survey, trials, recoveries, metrics."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from sqlalchemy import select
from sqlalchemy.orm import Session

from perfmodel.evidence.rungs.agreement import agreement, rung
from perfmodel.evidence.rungs.levels import Scores, connected, levels
from rankspace import Purpose, RankVector, Study
from rankspace.evaluation.fidelity import Agreement, Fidelity
from rankspace.evaluation.recovery_metric import RecoveryMetric
from service.storage.documents import study_of
from service.storage.tables import ObservationRow, StudyRow, TrialRow
from service.trials.results import evaluated
from service.trials.surveys import scores_of

TRIAL, VERIFICATION, RECOVERED = "short trials", "verification trials", "recovered loss"
NAMES: Mapping[str, str] = {
    Purpose.SEARCH: TRIAL,
    Purpose.CONTROL: TRIAL,
    Purpose.VERIFY: VERIFICATION,
    Purpose.RECOVER: RECOVERED,
}
"""What each purpose measures a vector by, the cheapest first."""

CHOSEN = (
    "Verified and recovered vectors were chosen, most of them as the best of the rung below: that "
    "narrows what there is to rank, and lowers what they agree."
)

MANY = (
    "Of many 95 % intervals some leave 0 out by chance: of {count} that mean nothing, about "
    "{by_chance:.2g}."
)


def fidelity(session: Session, row: StudyRow) -> Fidelity:
    """Compare every two rungs that the study has, on the vectors that both have measured."""
    study, trials = study_of(row), _Trials()
    trials.read(session, row.id, study)
    measured = {
        "survey": _surveyed(session, row.id),
        **trials.scores,
        **_metrics(session, row.id, study),
    }
    rungs = {name: scores for name, scores in measured.items() if scores}
    linked = {name: connected(scores) for name, scores in rungs.items()}
    level = {name: levels(scores) for name, scores in linked.items()}
    pairs = combinations(rungs, 2)
    agreements = tuple(agreement(one, two, level[one], level[two]) for one, two in pairs)
    chosen = (CHOSEN,) if len(rungs) > 1 else ()
    remarks = (*trials.remarks(), *_unlinked(rungs, linked), *chosen, *_many(agreements))
    return Fidelity(
        tuple(rung(name, scores) for name, scores in rungs.items()), agreements, remarks
    )


def _many(agreements: Sequence[Agreement]) -> Iterator[str]:
    count = sum(one.tau is not None for one in agreements)
    if count > 1:
        yield MANY.format(count=count, by_chance=count / 20)


def _unlinked(rungs: Mapping[str, Scores], linked: Mapping[str, Scores]) -> Iterator[str]:
    for name, scores in rungs.items():
        if left := len(scores) - len(linked[name]):
            yield (
                f"{name}: {left:,} of {len(scores):,} vectors share no seed with the others, not "
                "even by way of a third, and are left out of what is compared."
            )


class _Trials:
    """Scores of the trials that ran all their steps at the recipe's learning rate."""

    def __init__(self) -> None:
        self.scores: dict[str, dict[RankVector, dict[int, float]]] = {
            name: {} for name in NAMES.values()
        }
        self._failed = self._stopped = self._other = 0

    def read(self, session: Session, study_id: str, study: Study) -> None:
        steps = ObservationRow.measurement["steps"].as_integer()
        found = (
            select(TrialRow.purpose, TrialRow.rank_vector, TrialRow.seed, TrialRow.rate)
            .add_columns(ObservationRow.score, steps)
            .join(ObservationRow, ObservationRow.trial_id == TrialRow.id)
            .where(TrialRow.study_id == study_id, TrialRow.purpose != Purpose.SURVEY)
            .order_by(ObservationRow.sequence)
        )
        whole = (0, study.search.trial.steps)  # 0: without an adapter there is nothing to train
        for purpose, vector, seed, rate, score, taken in session.execute(found):
            if score is None:
                self._failed += 1
            elif rate != 1.0:
                self._other += 1
            elif NAMES[purpose] == TRIAL and taken not in whole:
                self._stopped += 1
            else:
                self.scores[NAMES[purpose]].setdefault(vector, {}).setdefault(seed, score)

    def remarks(self) -> Iterator[str]:
        if self._failed:
            yield f"{self._failed:,} trials failed, and have no score."
        if self._stopped:
            yield f"{self._stopped:,} trials ended early, and are left out."
        if self._other:
            yield f"{self._other:,} trials ran at another learning rate, and are left out."


def _surveyed(session: Session, study: str) -> Scores:
    """Of all claims of the survey that are done; they are on one training."""
    mine = select(TrialRow.id).where(TrialRow.study_id == study, TrialRow.purpose == Purpose.SURVEY)
    found = [scores_of(session, trial) for trial in session.scalars(mine.order_by(TrialRow.id))]
    return {one.rank_vector: {0: one.score} for scores in found for one in scores}


def _metrics(session: Session, study_id: str, study: Study) -> Mapping[str, Scores]:
    """What recovered models score on each metric, as higher is better."""
    if not study.recover.metrics:
        return {}
    runs, found = evaluated(session, study_id), dict[str, dict[RankVector, dict[int, float]]]()
    for at, metric in enumerate(study.recover.metrics):
        scores = found.setdefault(_title(at, metric), {})
        for run in runs:
            told = run.scores[at] if len(run.scores) > at else None
            if told is not None and told.counts:
                value = sum(told.sums) / told.documents
                signed = -value if told.name == "perplexity" else value
                scores.setdefault(run.rank_vector, {}).setdefault(run.seed, signed)
    return found


def _title(at: int, metric: RecoveryMetric) -> str:
    """Two files may be called alike, or be asked for in two ways."""
    return f"metric {at + 1}: {metric.title}"
