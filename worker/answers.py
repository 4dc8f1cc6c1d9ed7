"""From an HTTP error answer to the error it stands for."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import httpx

from rankspace.errors import (
    Conflict,
    Forbidden,
    LeaseLost,
    NotFound,
    RankspaceError,
    TooLarge,
    Unauthenticated,
    Unreachable,
    UnsupportedVersion,
)

_CLASSES: Mapping[int, type[RankspaceError]] = MappingProxyType(
    {
        401: Unauthenticated,
        403: Forbidden,
        404: NotFound,
        408: Unreachable,
        409: Conflict,
        413: TooLarge,
        426: UnsupportedVersion,
        429: Unreachable,
    }
)

_HINTS: Mapping[int, str] = MappingProxyType(
    {
        401: "give a key of role worker in RANKADAPTOR_KEY or RANKADAPTOR_KEY_FILE",
        403: "give a key of role worker in RANKADAPTOR_KEY or RANKADAPTOR_KEY_FILE",
        426: "install the same version of rankadaptor on both sides",
    }
)


def error_of(answer: httpx.Response) -> RankspaceError:
    """Return the error to raise; its text is the service's own where it gave one."""
    body = _body(answer)
    kind = _kind(answer.status_code, body.get("error"))
    detail = str(body.get("detail") or f"the service answered {answer.status_code}")
    return kind(detail, hint=str(body.get("hint") or _HINTS.get(answer.status_code, "")))


def _kind(status: int, name: Any) -> type[RankspaceError]:
    if name == LeaseLost.__name__:
        return LeaseLost
    if status >= 500:
        return Unreachable
    return _CLASSES.get(status, RankspaceError)


def _body(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
