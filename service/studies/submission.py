"""Submitting a study: everything that can be wrong with it is said now, with the field's name."""

import difflib

from sqlalchemy.orm import Session

import perfmodel
from perfmodel.additive.belief import Belief
from perfmodel.meta.shipped import shipped_prior
from rankspace import Context, SearchSpace, Study
from rankspace.context import context_of
from rankspace.errors import Conflict, InvalidInput
from rankspace.granularity import search_space
from rankspace.redaction import steering
from rankspace.study import Search, StudyState
from service.access.keys import random_text
from service.models.repository import Models
from service.storage.documents import model_of, study_of, write, write_belief
from service.storage.events import Events
from service.storage.scope import DEFAULT_PROJECT
from service.storage.tables import ModelRow, StudyRow
from service.studies.repository import Studies

MAX_RANK = 65_536
MAX_RANKS = 256


def submit(
    session: Session, study: Study, key: str | None, project: str = DEFAULT_PROJECT
) -> tuple[StudyRow, bool]:
    """Store ``study`` in its first stage; it belongs to ``project``, and so must its model.

    Returns:
        The row, and whether it is new; with an idempotency key seen before it is not.

    Raises:
        InvalidInput: A field that cannot be used.
        Conflict: The idempotency key was used for another study.
    """
    earlier = Studies(session).by_idempotency_key(project, key) if key else None
    if earlier is not None:
        return _same(earlier, study), False
    _check_name(study.name)
    _check_ranks(study.search)
    model = _model(session, study.model, project)
    described = model_of(model.document)
    space = search_space(described, study.recipe.modules, study.search)
    context = context_of(described, study, space)
    belief = _belief(space, study.search, context)
    row = StudyRow(id=f"st_{random_text(10)}", model_id=model.id, name=study.name)
    row.project, row.model_path = project, model.path
    row.document, row.space, row.idempotency_key = write(study), write(space), key
    row.gpu_memory_gib, row.architecture = study.gpu_memory_gib, described.architecture
    row.context, row.belief = write(context), write_belief(belief) if belief else None
    row.state = row.stage = StudyState.SEARCHING.value
    Studies(session).add(row)
    session.refresh(row)
    Events(session).record("submitted", row.id, name=study.name, model=model.id)
    return row, True


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


def _same(row: StudyRow, study: Study) -> StudyRow:
    if study_of(row.document) != study:
        raise Conflict(
            f"Idempotency-Key {row.idempotency_key!r} was used for another study",
            hint="use a fresh key for every new study",
        )
    return row


def _model(session: Session, name: str, project: str) -> ModelRow:
    models = Models(session)
    row = models.named(project, name)
    if row is None:
        near = difflib.get_close_matches(name, models.paths(project), n=1, cutoff=0.5)
        fix = f"did you mean {near[0]}?" if near else "register it first: POST /v1/models"
        raise InvalidInput("model", name, "is not registered", fix=fix)
    return row


def _check_name(name: str) -> None:
    """Not in ``Study``: those of old studies are read there again."""
    found = steering(name)
    if found is not None:
        problem = f"has the character {found!a}, which is not shown but steers what shows it"
        raise InvalidInput("name", name, problem, fix="leave it out")


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
