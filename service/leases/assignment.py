"""Build the Assignment a worker gets from the rows of its trial, study and model."""

from dataclasses import replace
from math import gcd
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from rankspace import Assignment, Purpose, RankVector, SearchSpace, Study
from rankspace.granularity import per_matrix
from rankspace.lease import AUTOMATIC_SINCE, INPUTS_SINCE, TEXTS_SINCE, SurveyOrder
from rankspace.trial import Split
from rankspace.wire import encode
from service.leases.base_dtype import settled
from service.settings import Settings
from service.storage.documents import model_of, present_study, space_of
from service.storage.tables import ModelRow, StudyRow, TrialRow
from service.studies.inputs import measured_on
from service.trials.surveys import order_of

OLD_MICRO = 4
"""Examples of a pass where workers of before are not told."""

_GIVEN = (
    select(
        StudyRow.request,
        StudyRow.document,
        StudyRow.space,
        StudyRow.model_path,
        StudyRow.base_dtype,
        ModelRow.document,
    )
    .join(ModelRow, ModelRow.id == StudyRow.model_id)
    .where(StudyRow.id == bindparam("study"))
)
"""What an assignment says of its study: far from all that is known of one."""


def assignment(session: Session, trial: TrialRow, settings: Settings) -> Assignment:
    request, document, searched, path, dtype, pruned = session.execute(
        _GIVEN, {"study": trial.study_id}
    ).one()
    study, space, model = present_study(request, document), space_of(searched), model_of(pruned)
    layers, vector = per_matrix(space, trial.rank_vector)
    return Assignment(
        trial_id=trial.id,
        token=trial.token,
        study_id=trial.study_id,
        study_name=study.name,
        purpose=Purpose(trial.purpose),
        model_path=path,
        model_fingerprint=model.fingerprint,
        recipe=settled(study.recipe, dtype).at_rate(trial.rate),
        layers=layers,
        rank_vector=vector,
        seed=trial.seed,
        steps=trial.steps,
        epochs=trial.epochs,
        split=Split(trial.split),
        keep_adapter=trial.keep_adapter,
        lease_seconds=settings.lease_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
        inputs=measured_on(session, trial.study_id, study.inputs),
        texts=trial.split == Split.FINAL and trial.purpose in _judging(study),
        survey=_survey(space, trial) if trial.purpose == Purpose.SURVEY else None,
        metrics=study.recover.metrics if trial.purpose == Purpose.RECOVER else (),
    )


def _judging(study: Study) -> tuple[Purpose, ...]:
    """Trials whose scores an interval is made of, which allows for the sampling of texts."""
    both = (Purpose.VERIFY, Purpose.RECOVER)
    return both if study.verify.at == "recipe" else (Purpose.VERIFY,)


def _survey(space: SearchSpace, trial: TrialRow) -> SurveyOrder | None:
    """What was ordered, each vector said as that of the assignment is."""
    order = order_of(trial)
    return order and replace(
        order, pool=_said(space, order.pool), vectors=_said(space, order.vectors)
    )


def _said(space: SearchSpace, vectors: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(per_matrix(space, RankVector(tuple(one)))[1].ranks for one in vectors)


def worded(given: Assignment, protocol: int) -> dict[str, Any]:
    """Return ``given`` as JSON types that a worker of ``protocol`` reads: no field it lacks."""
    said: dict[str, Any] = encode(given)
    if protocol < INPUTS_SINCE:
        del said["inputs"]
    if protocol < TEXTS_SINCE:
        said.pop("texts", None)
    if protocol < AUTOMATIC_SINCE:
        batch = said["recipe"]["batch"]
        # Left out it would be 4 to them, and of examples that 4 does not divide no recipe at all.
        batch.setdefault("micro", gcd(batch["examples"], OLD_MICRO))
    return said
