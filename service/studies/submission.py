"""Submitting a study: everything that can be wrong with it is said now, with the field's name."""

import math
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

import perfmodel
from perfmodel.additive.belief import Belief
from perfmodel.evidence.controls import control_vector
from perfmodel.meta.shipped import shipped_prior
from rankspace import Context, SearchSpace, Study
from rankspace.context import context_of
from rankspace.errors import Conflict, InvalidInput, nearest
from rankspace.granularity import search_space
from rankspace.layer_profile import COMPONENTS, most_components
from rankspace.observation import Taught
from rankspace.presets.paper import expanded, repeated
from rankspace.rank_vector import MOST_RANK
from rankspace.redaction import steering
from rankspace.study import PRIORS, Control, Opinion, Search, StrategyName, StudyState
from rankspace.wire import encode
from service.access.keys import random_text
from service.models.repository import Models
from service.storage.db import Database
from service.storage.documents import (
    Earlier,
    model_of,
    submitted_of,
    write,
    write_belief,
    write_earlier,
    write_request,
)
from service.storage.events import Events
from service.storage.older_form import write_older
from service.storage.scope import DEFAULT_PROJECT, Scope
from service.storage.tables import ModelRow, StudyRow
from service.studies.clone import Cloned
from service.studies.origin import Origin
from service.studies.repository import Studies, used_for_another

MAX_RANKS = 256
MAX_CANDIDATES = 100


@dataclass(frozen=True, slots=True)
class Beside:
    """What a study is submitted with that it does not say itself.

    Attributes:
        origin: A study in a scope, with whose results it begins.
        clone: What it is a copy of, which its log says. A copy has what its preset set there,
            blocks that were left whole included.
        gpu_need_gib: Memory below which a GPU gets none of its trials, unless it states what a
            worker needs; 0 if not known.
    """

    origin: tuple[str, Scope] | None = None
    clone: Cloned | None = None
    gpu_need_gib: float = 0.0


NOTHING = Beside()


def submit(
    database: Database,
    study: Study,
    key: str | None,
    project: str = DEFAULT_PROJECT,
    beside: Beside = NOTHING,
) -> tuple[StudyRow, bool]:
    """Store ``study`` in its first stage; it belongs to ``project``, and so must its model.

    What takes time is done between two transactions: nobody's heartbeat waits for a large model.

    Returns:
        The row, and whether it is new; with an idempotency key seen before it is not.

    Raises:
        InvalidInput: A field that cannot be used.
        Conflict: The idempotency key was used for another study, or the model changed meanwhile.
        NotFound: There is no such origin in its scope.
    """
    begins_with = beside.origin[0] if beside.origin else None
    with database.reading() as session:
        earlier = _earlier(session, study, begins_with, key, project)
        if earlier is not None:
            return earlier, False
        model = _model(session, study.model, project)
        given = Origin.read(session, *beside.origin) if beside.origin else None
    study = study if beside.clone else expanded(study, model_of(model.document))
    row = checked(study, model, key, given)
    row.gpu_need_gib = beside.gpu_need_gib if study.gpu_memory_gib is None else 0.0
    with database.writing() as session:
        earlier = _earlier(session, study, begins_with, key, project)
        return (earlier, False) if earlier else (_add(session, row, model, beside.clone), True)


def checked(
    study: Study, model: ModelRow, key: str | None, origin: Origin | None = None
) -> StudyRow:
    """Derive all that the study, with what its preset sets, rests on.

    Returns:
        A row that is in no database yet.

    Raises:
        InvalidInput: A field that cannot be used.
    """
    described = model_of(model.document)
    _check_visible("name", study.name)
    _check_ranks(study.search)
    _check_candidates(study.verify.candidates)
    _check_survey(study.search)
    space = search_space(described, study.recipe.modules, study.search)
    context = context_of(described, study, space)
    _check_controls(study, space, context, len(described.matrices))
    belief = _belief(space, study.search, context)
    row = StudyRow(id=f"st_{random_text(10)}", model_id=model.id, name=study.name)
    row.project, row.model_path = model.project, model.path
    kept = _kept(study)
    earlier = Earlier(())
    if origin is not None:
        earlier = origin.results_for(study, model.fingerprint, space)
        row.origin, row.looks_before = origin.id, origin.looks
        kept = replace(kept, inputs=kept.inputs.completed(origin.study.inputs))
    row.earlier = write_earlier(earlier, _taught(space, study.search))
    row.request, row.document = write_request(kept), write_older(kept)
    row.space, row.idempotency_key = write(space), key
    row.base_dtype = _base_dtype(study, origin)
    row.gpu_memory_gib, row.architecture = study.gpu_memory_gib or 0.0, described.architecture
    row.context, row.belief = write(context), write_belief(belief) if belief else None
    first = StudyState.SURVEYING if study.search.survey else StudyState.SEARCHING
    row.state = row.stage = first.value
    return row


def _base_dtype(study: Study, origin: Origin | None) -> str | None:
    """The type of the base weights; None leaves it to the first worker that claims a trial.

    Results that it begins with are compared with its own.
    """
    if study.recipe.dtype != "auto":
        return study.recipe.dtype
    return origin.base_dtype if origin else None


def _add(session: Session, row: StudyRow, model: ModelRow, clone: Cloned | None) -> StudyRow:
    _check_unchanged(session, model)
    Studies(session).add(row)
    session.refresh(row)
    told = {"origin": row.origin, "clone": clone, "gpu_need_gib": row.gpu_need_gib}
    begins = {name: value for name, value in told.items() if value}
    Events(session).record("submitted", row.id, name=row.name, model=row.model_id, **begins)
    return row


def _check_unchanged(session: Session, model: ModelRow) -> None:
    now = session.get(ModelRow, model.id)
    if now is None or (now.document, now.path) != (model.document, model.path):
        detail = f"model {model.id} was registered anew while the study was checked"
        raise Conflict(detail, hint="submit the study again")


def _belief(space: SearchSpace, search: Search, context: Context) -> Belief | None:
    """What the prior says, once and for all: later releases ship another.

    Raises:
        InvalidInput: The strategy lacks something it needs, or no such prior is known here.
    """
    try:
        own = _own_belief(space, search.prior)
        prior = shipped_prior() if search.prior == "shipped" else None
        state = perfmodel.start(space, strategy=search.strategy, context=context, prior=prior)
    except InvalidInput as error:
        raise error.under("search") from None
    return own or state.belief


def _own_belief(space: SearchSpace, prior: str | Opinion) -> Belief | None:
    """Take the numbers of a prior that nobody here has, with mean 0 over the free layers.

    The prior itself is not taken: a library in C++ evaluates its trees, which strangers may have
    grown to harm it.
    """
    if isinstance(prior, str):
        if prior not in PRIORS:
            fix = "name its file in a study file: rankadaptor submit sends what it says"
            raise InvalidInput("prior", prior, f"is none of {', '.join(PRIORS)}", fix=fix)
        return None
    _check_visible("prior.version", prior.version)
    if prior.taught is not None:
        return None
    given, layers = len(prior.log_worth), len(space.layers)
    if given != layers:
        problem, fix = f"are not one for each of {layers} layers", "submit the study file anew"
        raise InvalidInput("prior.log_worth", given, problem, fix=fix)
    free = space.free_layers
    mean = sum(prior.log_worth[index] for index in free) / max(len(free), 1)
    worth = [0.0] * layers
    for index in free:
        worth[index] = prior.log_worth[index] - mean
    return Belief(tuple(worth), prior.version)


def _taught(space: SearchSpace, search: Search) -> Taught | None:
    """What it is taught by trials of other studies, if it is.

    Raises:
        InvalidInput: Its strategy learns of none, or they are of other layers.
    """
    taught = search.prior.taught if isinstance(search.prior, Opinion) else None
    if taught is None:
        return None
    if search.strategy is not StrategyName.RANKADAPTOR:
        problem = f"strategy {search.strategy} does not learn from trials of other studies"
        fix = "use strategy rankadaptor, or a prior that rankadaptor meta train made of them"
        raise InvalidInput("search.prior.taught", len(taught.vectors), problem, fix=fix)
    given, layers = len(taught.vectors[0]), len(space.layers)
    if given != layers:
        problem = f"have {given} ranks for {layers} layers"
        fix = "submit the study file anew"
        raise InvalidInput("search.prior.taught.vectors", len(taught.vectors), problem, fix=fix)
    return taught


def _kept(study: Study) -> Study:
    """As it is stored: of an opinion the name, its numbers are the study's belief."""
    prior = study.search.prior
    if isinstance(prior, str):
        return study
    return replace(study, search=replace(study.search, prior=prior.version))


def _earlier(
    session: Session, study: Study, origin: str | None, key: str | None, project: str
) -> StudyRow | None:
    """The study that this key started, if any.

    Raises:
        Conflict: It is another one.
    """
    row = Studies(session).by_idempotency_key(project, key) if key else None
    if row is None:
        return None
    stored = submitted_of(row)
    sent = _kept(_as_then(session, row, stored, study))
    if not _is_same(stored, sent) or row.origin != origin:
        raise used_for_another(row)
    return row


def _as_then(session: Session, row: StudyRow, stored: Study, sent: Study) -> Study:
    """What was sent, with the preset and the model of when the stored study was.

    And with its memory: clients of before say 0 where nobody states it.
    """
    if stored.gpu_memory_gib == 0.0 and sent.gpu_memory_gib is None:
        sent = replace(sent, gpu_memory_gib=0.0)
    if not stored.paper or not sent.paper:
        return sent
    model = model_of(session.get_one(ModelRow, row.model_id).document)
    return repeated(sent, stored, model)


def _is_same(stored: Study, sent: Study) -> bool:
    """Whether they are one study: what is known of its inputs grows after it was sent."""
    apart = stored.inputs.differing(sent.inputs)
    return not apart and replace(stored, inputs=sent.inputs) == sent


def _model(session: Session, name: str, project: str) -> ModelRow:
    models = Models(session)
    row = models.named(project, name)
    if row is None:
        near = nearest(name, models.paths(project))
        fix = f"did you mean {near}?" if near else "register it first: POST /v1/models"
        raise InvalidInput("model", name, "is not registered", fix=fix)
    return row


def _check_visible(field: str, name: str) -> None:
    """Not in ``Study``: those of old studies are read there again."""
    found = steering(name)
    if found is not None:
        problem = f"has the character {found!a}, which is not shown but steers what shows it"
        raise InvalidInput(field, name, problem, fix="leave it out")


def _check_controls(study: Study, space: SearchSpace, context: Context, matrices: int) -> None:
    """Say now what a verification could not run, in hours."""
    for index, control in enumerate(study.verify.controls):
        if control_vector(control, space, context) is None:
            problem, fix = _lacking(control, space, matrices)
            problem = f"cannot be made: {problem}"
            raise InvalidInput(f"verify.controls[{index}]", control.value, problem, fix=fix)
    peak = study.recipe.optimizer.learning_rate
    for index, rate in enumerate(study.verify.rates):
        if not 0.0 < rate * peak < math.inf:
            problem = f"times the learning rate {peak:g} is no number to train with"
            raise InvalidInput(f"verify.rates[{index}]", rate, problem, fix="leave it out")


def _lacking(control: Control, space: SearchSpace, matrices: int) -> tuple[str, str]:
    """Why ``control`` cannot be made, and what to do."""
    profile = "run 'rankadaptor profile MODEL --text FILE' first, or leave it out"
    if control is Control.LARGEST_GRADIENT:
        return "the model's profiles do not tell the gradients", profile
    if control is Control.EVA:
        most = max((space.choices(at)[-1] for at in space.free_layers), default=0)
        problem = "the model's profiles do not tell the explained variance of its inputs"
        return f"{problem} to rank {most}", _explaining(most, most_components(matrices))
    fix = "leave it out, or search one rank per weight matrix"
    return "no layer of that kind has a choice of ranks", fix


def _explaining(most: int, room: int) -> str:
    """How to have ``most`` components in the profiles, each of which has ``room`` for so many."""
    if most > room:
        return f"leave it out, or search ranks to {room}: a profile of this model holds no more"
    asked = f" --components {most}" if most > COMPONENTS else ""
    return (
        f"run 'rankadaptor profile MODEL --text FILE{asked}' with the options it was profiled with"
        f", on more than {most} tokens, and register the model anew: POST /v1/models; or leave it "
        "out"
    )


def _check_candidates(candidates: int) -> None:
    if candidates > MAX_CANDIDATES:
        fix = f"use {MAX_CANDIDATES} or fewer"
        raise InvalidInput("verify.candidates", candidates, "are too many", fix=fix)


def _check_survey(search: Search) -> None:
    if search.survey is not None and search.strategy is not StrategyName.ADDITIVE:
        problem = f"{search.strategy} does not listen to a survey"
        fix = "leave it out, or use the strategy additive"
        raise InvalidInput("search.survey", encode(search.survey), problem, fix=fix)


def _check_ranks(search: Search) -> None:
    """Planning takes a time that grows with the number of ranks."""
    if len(search.ranks) > MAX_RANKS:
        fix = f"use {MAX_RANKS} or fewer"
        raise InvalidInput("search.ranks", len(search.ranks), "are too many", fix=fix)
    ranks = {"ranks": search.ranks, **{f"fixed.{name}": [r] for name, r in search.fixed.items()}}
    for field, values in ranks.items():
        if max(values, default=0) > MOST_RANK:
            fix = f"use {MOST_RANK} or less"
            raise InvalidInput(f"search.{field}", max(values), "is too large", fix=fix)
