"""Build the Assignment a worker gets from the rows of its trial, study and model."""

from sqlalchemy.orm import Session

from rankspace import Assignment, Purpose
from rankspace.trial import Split
from service.settings import Settings
from service.storage.documents import model_of, space_of, study_of
from service.storage.tables import ModelRow, StudyRow, TrialRow


def assignment(session: Session, trial: TrialRow, settings: Settings) -> Assignment:
    study_row = session.get_one(StudyRow, trial.study_id)
    study = study_of(study_row.document)
    model = model_of(session.get_one(ModelRow, study_row.model_id).document)
    return Assignment(
        trial_id=trial.id,
        token=trial.token,
        study_id=trial.study_id,
        study_name=study.name,
        purpose=Purpose(trial.purpose),
        model_path=study_row.model_path,
        model_fingerprint=model.fingerprint,
        recipe=study.recipe,
        layers=space_of(study_row.space).layers,
        rank_vector=trial.rank_vector,
        seed=trial.seed,
        steps=trial.steps,
        epochs=trial.epochs,
        split=Split(trial.split),
        keep_adapter=trial.keep_adapter,
        lease_seconds=settings.lease_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
    )
