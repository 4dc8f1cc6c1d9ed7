"""What the routers have in common: the runtime, identities in paths, pages."""

import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any, TypeAlias, TypeVar

from fastapi import Depends, Header, Path, Query, Request

from rankspace import SearchSpace
from rankspace.errors import NotFound
from service.runtime import Runtime, get_runtime
from service.studies.repository import Studies
from service.trials.repository import Trials
from service.web.auth import Identified
from service.web.threads import Threads, threaded

T = TypeVar("T")
MAX_INTEGER = 2**63 - 1

Service: TypeAlias = Annotated[Runtime, Depends(get_runtime)]
Limit: TypeAlias = Annotated[int, Query(ge=1, le=1000)]
After: TypeAlias = Annotated[int, Query(ge=0, le=MAX_INTEGER)]
AfterName: TypeAlias = Annotated[str | None, Query(max_length=200)]
IdempotencyKey: TypeAlias = Annotated[str | None, Header(min_length=1, max_length=200)]


@threaded
def _own_study(
    runtime: Service, caller: Identified, study: Annotated[str, Path(max_length=20)]
) -> str:
    """Refuse a study out of the caller's scope just as one that is not there."""
    if not caller.scope.is_everything:
        with runtime.database.reading() as session:
            Studies(session).get(study, caller.scope)
    return study


@threaded
def _own_trial(
    runtime: Service, caller: Identified, trial: Annotated[int, Path(ge=1, le=MAX_INTEGER)]
) -> int:
    """Refuse a trial out of the caller's scope just as one that is not there."""
    if not caller.scope.is_everything:
        with runtime.database.reading() as session:
            if not Trials(session).is_within(trial, caller.scope):
                hint = "keep the result for the service that handed the trial out"
                raise NotFound(f"trial {trial} is not known here", hint=hint)
    return trial


StudyId: TypeAlias = Annotated[str, Depends(_own_study)]
TrialId: TypeAlias = Annotated[int, Depends(_own_trial)]


@threaded
def _known_study(runtime: Service, study: StudyId) -> str:
    """Refuse one that is not there, before the answer begins."""
    with runtime.database.reading() as session:
        Studies(session).get(study)
    return study


KnownStudy: TypeAlias = Annotated[str, Depends(_known_study)]


async def looking(request: Request, runtime: Service, caller: Identified) -> AsyncIterator[None]:
    """Hold one of the key's dear looks, as long as the answer lasts, and do it on their threads."""
    with runtime.limits.looking(caller):
        await Threads.looks(request)
        yield


PAGE_RANKS = 200_000
"""Of all vectors on a page: what is written in a fraction of a second."""


def fitting(limit: int, space: SearchSpace) -> int:
    """How many of ``limit`` trials, at least one, a page of a study of ``space`` may list."""
    return min(limit, max(PAGE_RANKS // len(space.layers), 1))


def page(items: Sequence[T], limit: int, cursor: Callable[[T], Any]) -> dict[str, Any]:
    """Cut one item more than ``limit`` into a page; the extra one only says that there is more."""
    shown = items[:limit]
    more = len(items) > limit
    return {"items": list(shown), "next": cursor(shown[-1]) if more else None}


def page_schema(kind: type) -> Any:
    """A class for OpenAPI: a page of ``kind``."""
    fields = [("items", tuple[kind, ...]), ("next", int | str | None)]  # type: ignore[valid-type]
    return dataclasses.make_dataclass(f"{kind.__name__}Page", fields)
