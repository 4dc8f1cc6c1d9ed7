"""Request bodies: strict JSON read into vocabulary classes, and how OpenAPI describes them."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence, Sized
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from rankspace.errors import UnreadableInput
from rankspace.wire import decode, encode, json_schema
from service.web.errors import ErrorBody
from service.web.threads import in_thread

T = TypeVar("T")
MAX_DEPTH = 32
MAX_ITEMS = 20_000  # of one list or group: the longest is a model's matrices
MAX_TEXT = 10_000  # characters
MAX_MARKS = 400_000  # commas and opening brackets: 20,000 matrices with profiles have 300,000
SHOWN = 60  # of what is wrong
LARGE = 64 * 1024  # above this, parsing would hold up the event loop


def body_of(kind: type[T]) -> Callable[[Request], Awaitable[T]]:
    """Make the dependency that reads the request's body as ``kind``."""

    async def read(request: Request) -> T:
        raw = await request.body()
        if len(raw) > LARGE:
            return await in_thread(read_as, kind, raw)
        return read_as(kind, raw)

    return read


def read_as(kind: type[T], raw: bytes) -> T:
    """Decode ``raw`` strictly.

    Raises:
        UnreadableInput: Not UTF-8, not JSON, a key given twice, nested too deeply.
        InvalidInput: JSON of the wrong shape; names the field.
    """
    return decode(kind, parse(raw))


def parse(raw: bytes) -> Any:
    _check_marks(raw)
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
        _check(document)
    except UnicodeError as error:
        raise _unreadable(raw, f"is not UTF-8 text: {error}", "send UTF-8") from None
    except RecursionError:
        raise _unreadable(raw, "is nested too deeply", f"nest at most {MAX_DEPTH} deep") from None
    except json.JSONDecodeError as error:
        where = f"is not JSON: {error.msg} at character {error.pos}"
        raise _unreadable(raw, where, "send one JSON object") from None
    except ValueError as error:
        raise _unreadable(raw, f"cannot be read: {error}", "send plain JSON") from None
    return document


def _check_marks(raw: bytes) -> None:
    """Refuse before anything is built what would be more values than anybody needs.

    Each value but the first of a list or group stands behind a comma, each first one behind its
    bracket: 8 MiB of empty lists are 200 MiB in memory, of short groups more.
    """
    if sum(map(raw.count, (b",", b"[", b"{"))) > MAX_MARKS:
        problem = f"has more than {MAX_MARKS:,} values"
        raise _unreadable(raw, problem, "send less")


def _unreadable(raw: bytes, problem: str, fix: str) -> UnreadableInput:
    return UnreadableInput("body", raw[:SHOWN], problem, fix=fix)


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    _check_length(pairs)
    document: dict[str, Any] = {}
    for name, value in pairs:
        if name in document:
            raise ValueError(f"{name[:SHOWN]!r} is given twice")
        document[name] = value
    return document


def _check_length(items: Sized) -> None:
    if len(items) > MAX_ITEMS:
        raise ValueError(f"a list or group has more than {MAX_ITEMS:,} entries")


def _check(document: Any) -> None:
    """Refuse what no table can hold, NUL or half of a surrogate pair, and what nobody needs."""
    level, depth = [document], 0
    while level:
        if depth > MAX_DEPTH:
            raise RecursionError
        for text in (item for item in level if isinstance(item, str)):
            text.encode("utf-8")
            if "\0" in text:
                raise ValueError("a text contains the character NUL")
            if len(text) > MAX_TEXT:
                raise ValueError(f"a text has more than {MAX_TEXT:,} characters")
        for item in level:
            if isinstance(item, list):
                _check_length(item)
        level = [child for item in level for child in _children(item)]
        depth += 1


def _children(item: Any) -> Sequence[Any]:
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    return item if isinstance(item, list) else ()


def reply(value: Any, status: int = 200, *, at: str | None = None) -> JSONResponse:
    """Answer with ``value``; ``at`` is the address of what was made."""
    return JSONResponse(encode(value), status, headers={"Location": at} if at else None)


def sent(body: bytes) -> Response:
    """Answer with JSON that is written already."""
    return Response(body, media_type="application/json")


def route(
    answer: Any, *, body: Any = None, status: int = 200, also: Mapping[int, Any] | None = None
) -> dict[str, Any]:
    """Keyword arguments of a route decorator: what it takes and gives, for OpenAPI.

    ``also`` maps further statuses to what they carry; None for no body.
    """
    answers = {status: answer, **(also or {})}
    extra = {"requestBody": {"required": True, "content": _json(body)}} if body else None
    return {
        "status_code": status,
        "response_model": None,
        "openapi_extra": extra,
        "responses": {code: _described(code, kind) for code, kind in answers.items()},
    }


ANYWHERE = (400, 403, 408, 413, 422)
"""What the guards and the reading of a request may answer before any route sees it."""


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a router, beside those of ``ANYWHERE``, for OpenAPI."""
    return {code: _described(code, ErrorBody) for code in sorted({*ANYWHERE, *codes})}


def _described(code: int, kind: Any) -> dict[str, Any]:
    title = getattr(kind, "__name__", "nothing" if kind is None else "answer")
    described: dict[str, Any] = {"description": title}
    return described if kind is None else {**described, "content": _json(kind)}


def _json(kind: Any) -> dict[str, Any]:
    return {"application/json": {"schema": json_schema(kind)}}
