"""Routes of trials."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from rankspace import RankVector
from rankspace.errors import InvalidInput
from service.access.caller import READERS, WRITERS
from service.planning.queue import settle
from service.runtime import Runtime
from service.storage.documents import space_of
from service.studies.candidates import add_candidate
from service.studies.repository import Studies
from service.trials.repository import Trials
from service.trials.view import TrialView, view
from service.web.auth import require
from service.web.bodies import body_of, refusals, reply, route
from service.web.routers.shared import (
    After,
    IdempotencyKey,
    Limit,
    Service,
    StudyId,
    fitting,
    looking,
    page,
    page_schema,
)
from service.web.threads import in_thread, threaded

router = APIRouter(
    prefix="/v1/studies/{study}/trials",
    tags=["trials"],
    dependencies=[Depends(require(READERS, WRITERS))],
    responses=refusals(401, 404, 409, 429),
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person's own rank vector, in the order of the study's layers."""

    rank_vector: tuple[int, ...]

    def __post_init__(self) -> None:
        for index, rank in enumerate(self.rank_vector):
            if rank < 0:
                field = f"rank_vector[{index}]"
                raise InvalidInput(field, rank, "is negative", fix="use 0 for no adapter")


@router.get("", dependencies=[Depends(looking)], **route(page_schema(TrialView)))
@threaded
def list_trials(
    runtime: Service, study: StudyId, after: After = 0, limit: Limit = 100
) -> JSONResponse:
    """List trials by identity, offers included; fewer of a study with many layers."""
    with runtime.database.reading() as session:
        space = space_of(Studies(session).get(study).space)
        limit = fitting(limit, space)
        rows = Trials(session).page(study, after, limit + 1)
        found = [view(*row, space) for row in rows]
    return reply(page(found, limit, lambda trial: trial.id))


@router.post("", **route(TrialView, body=Candidate, status=201, also={200: TrialView}))
async def add_trial(
    runtime: Service,
    study: StudyId,
    candidate: Annotated[Candidate, Depends(body_of(Candidate))],
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """Have a rank vector of your own measured; 200 when this key asked for it before."""
    vector = RankVector(candidate.rank_vector)
    added, is_new = await in_thread(_add, runtime, study, vector, idempotency_key)
    runtime.doorbell.ring()
    await settle([runtime.planning.ask(study)])
    return reply(added, 201 if is_new else 200)


def _add(
    runtime: Runtime, study: str, vector: RankVector, key: str | None
) -> tuple[TrialView, bool]:
    with runtime.database.writing() as session:
        trial, is_new = add_candidate(session, study, vector, key)
        space = space_of(Studies(session).get(study).space)
        return view(*Trials(session).one(trial), space), is_new
