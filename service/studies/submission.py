"""Submitting a study: everything that can be wrong with it is said now, with the field's name."""

from sqlalchemy.orm import Session

import perfmodel
from perfmodel.additive.belief import Belief
from perfmodel.meta.shipped import shipped_prior
from rankspace import Context, SearchSpace, Study
from rankspace.context import context_of
from rankspace.errors import Conflict, InvalidInput, nearest
from rankspace.granularity import search_space
from rankspace.redaction import steering
from rankspace.study import Search, StudyState
from service.access.keys import random_text
from service.models.repository import Models
from service.storage.db import Database
from service.storage.documents import model_of, study_of, write, write_belief
from service.storage.events import Events
from service.storage.scope import DEFAULT_PROJECT
from service.storage.tables import ModelRow, StudyRow
from service.studies.repository import Studies

MAX_RANK = 65_536
MAX_RANKS = 256
MAX_CANDIDATES = 100


def submit(
    database: Database, study: Study, key: str | None, project: str = DEFAULT_PROJECT
) -> tuple[StudyRow, bool]:
    """Store ``study`` in its first stage; it belongs to ``project``, and so must its model.

    What takes time is done between two transactions: nobody's heartbeat waits for a large model.

    Returns:
        The row, and whether it is new; with an idempotency key seen before it is not.

    Raises:
        InvalidInput: A field that cannot be used.
        Conflict: The idempotency key was used for another study, or the model changed meanwhile.
    """
    with database.reading() as session:
        earlier = _earlier(session, study, key, project)
        if earlier is not None:
            return earlier, False
        model = _model(session, study.model, project)
    row = checked(study, model, key)
    with database.writing() as session:
        earlier = _earlier(session, study, key, project)
        return (earlier, False) if earlier else (_add(session, row, model), True)


def checked(study: Study, model: ModelRow, key: str | None) -> StudyRow:
    """Derive all that the study rests on.

    Returns:
        A row that is in no database yet.

    Raises:
        InvalidInput: A field that cannot be used.
    """
    _check_name(study.name)
    _check_ranks(study.search)
    _check_candidates(study.verify.candidates)
    described = model_of(model.document)
    space = search_space(described, study.recipe.modules, study.search)
    context = context_of(described, study, space)
    belief = _belief(space, study.search, context)
    row = StudyRow(id=f"st_{random_text(10)}", model_id=model.id, name=study.name)
    row.project, row.model_path = model.project, model.path
    row.document, row.space, row.idempotency_key = write(study), write(space), key
    row.gpu_memory_gib, row.architecture = study.gpu_memory_gib, described.architecture
    row.context, row.belief = write(context), write_belief(belief) if belief else None
    row.state = row.stage = StudyState.SEARCHING.value
    return row


def _add(session: Session, row: StudyRow, model: ModelRow) -> StudyRow:
    _check_unchanged(session, model)
    Studies(session).add(row)
    session.refresh(row)
    Events(session).record("submitted", row.id, name=row.name, model=row.model_id)
    return row


def _check_unchanged(session: Session, model: ModelRow) -> None:
    now = session.get(ModelRow, model.id)
    if now is None or (now.document, now.path) != (model.document, model.path):
        detail = f"model {model.id} was registered anew while the study was checked"
        raise Conflict(detail, hint="submit the study again")


def _belief(space: SearchSpace, search: Search, context: Context) -> Belief | None:
    """What the shipped prior says, once and for all: later releases ship another.

    Raises:
        InvalidInput: The strategy lacks something it needs.
    """
    prior = None if search.prior == "none" else shipped_prior()
    try:
        return perfmodel.start(space, strategy=search.strategy, context=context, prior=prior).belief
    except InvalidInput as error:
        raise error.under("search") from None


def _earlier(session: Session, study: Study, key: str | None, project: str) -> StudyRow | None:
    """The study that this key started, if any.

    Raises:
        Conflict: It is another one.
    """
    row = Studies(session).by_idempotency_key(project, key) if key else None
    if row is not None and study_of(row.document) != study:
        raise Conflict(
            f"Idempotency-Key {row.idempotency_key!r} was used for another study",
            hint="use a fresh key for every new study",
        )
    return row


def _model(session: Session, name: str, project: str) -> ModelRow:
    models = Models(session)
    row = models.named(project, name)
    if row is None:
        near = nearest(name, models.paths(project))
        fix = f"did you mean {near}?" if near else "register it first: POST /v1/models"
        raise InvalidInput("model", name, "is not registered", fix=fix)
    return row


def _check_name(name: str) -> None:
    """Not in ``Study``: those of old studies are read there again."""
    found = steering(name)
    if found is not None:
        problem = f"has the character {found!a}, which is not shown but steers what shows it"
        raise InvalidInput("name", name, problem, fix="leave it out")


def _check_candidates(candidates: int) -> None:
    if candidates > MAX_CANDIDATES:
        fix = f"use {MAX_CANDIDATES} or fewer"
        raise InvalidInput("verify.candidates", candidates, "are too many", fix=fix)


def _check_ranks(search: Search) -> None:
    """No matrix is so wide; beyond it, parameter counts leave every table.

    Planning takes a time that grows with the number of ranks.
    """
    if len(search.ranks) > MAX_RANKS:
        fix = f"use {MAX_RANKS} or fewer"
        raise InvalidInput("search.ranks", len(search.ranks), "are too many", fix=fix)
    ranks = {"ranks": search.ranks, **{f"fixed.{name}": [r] for name, r in search.fixed.items()}}
    for field, values in ranks.items():
        if max(values, default=0) > MAX_RANK:
            fix = f"use {MAX_RANK} or less"
            raise InvalidInput(f"search.{field}", max(values), "is too large", fix=fix)
