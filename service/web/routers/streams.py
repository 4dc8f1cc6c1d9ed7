"""Routes of the event streams: they say when to look again, and nothing else."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse

from service.access.caller import READERS, Caller
from service.access.logins import Credential
from service.runtime import Runtime
from service.signals.stream import Stream
from service.web.auth import Identified, require, session_digest
from service.web.bodies import refusals
from service.web.routers.shared import MAX_INTEGER, KnownStudy, Service

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Nobody between keeps what should arrive at once."""


class EventStream(StreamingResponse):
    """An answer of server-sent events."""

    media_type = "text/event-stream"


async def _place(runtime: Service, caller: Identified) -> AsyncIterator[None]:
    """Hold one of the streams that may be open, as long as the answer lasts."""
    with runtime.limits.streaming(caller):
        yield


router = APIRouter(
    prefix="/v1",
    tags=["studies"],
    dependencies=[Depends(require(READERS, ())), Depends(_place)],
    responses=refusals(401, 404, 429),
)

_MESSAGE = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "data": {"const": "changed"}},
}
_DESCRIBED: dict[str, Any] = {
    "response_class": EventStream,
    "responses": {
        200: {
            "description": "messages `changed`, with the id of the last event",
            "content": {EventStream.media_type: {"schema": _MESSAGE}},
        }
    },
}


def _cursor(
    after: Annotated[int, Query(ge=0, le=MAX_INTEGER)] = 0,
    last_event_id: Annotated[int | None, Header(ge=0, le=MAX_INTEGER)] = None,
) -> int:
    """The last event the reader knows of; a browser that comes back knows better than its page."""
    return after if last_event_id is None else last_event_id


Cursor: TypeAlias = Annotated[int, Depends(_cursor)]


@router.get("/events/stream", **_DESCRIBED)
async def stream_all(
    request: Request, runtime: Service, caller: Identified, cursor: Cursor
) -> EventStream:
    """Tell when something happens to any study."""
    return _stream(request, runtime, caller, None, cursor)


@router.get("/studies/{study}/events/stream", **_DESCRIBED)
async def stream_study(
    request: Request, runtime: Service, caller: Identified, study: KnownStudy, cursor: Cursor
) -> EventStream:
    """Tell when something happens to the study."""
    return _stream(request, runtime, caller, study, cursor)


def _stream(
    request: Request, runtime: Runtime, caller: Caller, study: str | None, cursor: int
) -> EventStream:
    credential = Credential(caller.key, session_digest(request, runtime.settings))
    stream = Stream(credential, caller.scope, study, cursor)

    async def messages() -> AsyncIterator[str]:
        async with runtime.streams.tuned_in(stream, study):
            async for message in stream.messages(runtime.settings.stream_seconds):
                yield message

    return EventStream(messages(), headers=HEADERS)
