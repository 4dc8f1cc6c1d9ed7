"""Routes of a study's pages, all of them to read."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse

from rankspace.errors import NotFound
from service.trials.listing import ORDERS
from service.web.auth import Reader
from service.web.pages.charts.spending import MEASURES
from service.web.pages.study.budget import BUDGET
from service.web.pages.study.history import EVENTS
from service.web.pages.study.model import MODEL
from service.web.pages.study.overview import OVERVIEW
from service.web.pages.study.page import tab_page
from service.web.pages.study.ranks import RANKS
from service.web.pages.study.tables import table_file
from service.web.pages.study.trial import COMPARISON, TRIAL
from service.web.pages.study.trials import COLUMNS, PURPOSES, STATES, TRIALS
from service.web.pages.templating import base_of, not_found, to_login
from service.web.routers.shared import MAX_INTEGER, Service
from service.web.threads import in_thread

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

StudyName: TypeAlias = Annotated[str, Path(max_length=20)]
TableName: TypeAlias = Annotated[str, Path(max_length=20)]
TrialNumber: TypeAlias = Annotated[int, Query(ge=1, le=MAX_INTEGER)]
MOST_PAGES = 10_000_000
MOST_COLUMNS = 20


@router.get("/studies/{study}")
async def overview_page(
    request: Request,
    runtime: Service,
    caller: Reader,
    study: StudyName,
    by: Literal["trials", "hours"] = "trials",
) -> Response:
    return await tab_page(request, runtime, caller, study, OVERVIEW, {"by": by})


@router.get("/studies/{study}/ranks")
async def ranks_page(
    request: Request,
    runtime: Service,
    caller: Reader,
    study: StudyName,
    by: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    return await tab_page(
        request, runtime, caller, study, RANKS, {"by": by if by in MEASURES else ""}
    )


@router.get("/studies/{study}/tables/{table}.csv")
async def read_table(
    request: Request, runtime: Service, caller: Reader, study: StudyName, table: TableName
) -> Response:
    """The numbers behind a picture."""
    base = base_of(request)
    if caller is None:
        return to_login(base)
    with runtime.limits.looking(caller):
        try:
            file = await in_thread(table_file, runtime, caller.scope, study, table)
        except NotFound as error:
            return not_found(base, error.detail)
    headers = {"Content-Disposition": f'attachment; filename="{study}-{table}.csv"'}
    return StreamingResponse(file, media_type="text/csv; charset=utf-8", headers=headers)


def _wanted(
    state: Annotated[str, Query(max_length=20)] = "",
    purpose: Annotated[str, Query(max_length=20)] = "",
    order: Annotated[str, Query(max_length=20)] = "",
    page: Annotated[int, Query(ge=1, le=MOST_PAGES)] = 1,
    column: Annotated[tuple[str, ...], Query(max_length=MOST_COLUMNS)] = (),
) -> Mapping[str, str]:
    """What the address asks for; what nobody knows counts as not asked."""
    return {
        "state": state if state in STATES else "",
        "purpose": purpose if purpose in PURPOSES else "",
        "order": order if order in ORDERS else ORDERS[0],
        "columns": ",".join(name for name in COLUMNS if name in column),
        "page": str(page),
    }


@router.get("/studies/{study}/trials")
async def trials_page(
    request: Request,
    runtime: Service,
    caller: Reader,
    study: StudyName,
    wanted: Annotated[Mapping[str, str], Depends(_wanted)],
) -> Response:
    return await tab_page(request, runtime, caller, study, TRIALS, wanted)


@router.get("/studies/{study}/trials/{number}")
async def trial_page(
    request: Request,
    runtime: Service,
    caller: Reader,
    study: StudyName,
    number: Annotated[int, Path(ge=1, le=MAX_INTEGER)],
) -> Response:
    return await tab_page(request, runtime, caller, study, TRIAL, {"trial": str(number)})


@router.get("/studies/{study}/compare")
async def comparison_page(
    request: Request,
    runtime: Service,
    caller: Reader,
    study: StudyName,
    trial: Annotated[
        tuple[Annotated[int, Query(ge=1, le=MAX_INTEGER)], ...], Query(max_length=50)
    ] = (),
) -> Response:
    """Of two trials what differs; of another number how to choose two."""
    trials = ",".join(map(str, trial))
    return await tab_page(request, runtime, caller, study, COMPARISON, {"trials": trials})


@router.get("/studies/{study}/model")
async def model_page(
    request: Request, runtime: Service, caller: Reader, study: StudyName
) -> Response:
    return await tab_page(request, runtime, caller, study, MODEL)


@router.get("/studies/{study}/budget")
async def budget_page(
    request: Request, runtime: Service, caller: Reader, study: StudyName
) -> Response:
    return await tab_page(request, runtime, caller, study, BUDGET)


@router.get("/studies/{study}/events")
async def events_page(
    request: Request,
    runtime: Service,
    caller: Reader,
    study: StudyName,
    before: Annotated[int, Query(ge=0, le=MAX_INTEGER)] = 0,
) -> Response:
    return await tab_page(request, runtime, caller, study, EVENTS, {"before": str(before)})
