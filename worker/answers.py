"""From an HTTP error answer to the error it stands for."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import httpx

from rankspace.errors import RankspaceError, revive

_PASSING = frozenset({408, 429})
"""Refusals that, like every 5xx, may be over at the next try."""

_GATEWAYS: Mapping[int, str] = MappingProxyType(
    {401: "Unauthenticated", 403: "Forbidden", 413: "TooLarge"}
)
"""What a proxy in between may answer by itself, without one of our bodies."""

_KEY = "give a key of role worker in RANKADAPTOR_KEY or RANKADAPTOR_KEY_FILE"
_HINTS: Mapping[int, str] = MappingProxyType(
    {401: _KEY, 403: _KEY, 426: "install the same version of rankadaptor on both sides"}
)


def error_of(answer: httpx.Response) -> RankspaceError:
    """Return the error to raise; its text is the service's own where it gave one."""
    body, status = _body(answer), answer.status_code
    name = str(body.get("error") or _GATEWAYS.get(status, "Unreachable"))
    if status >= 500 or status in _PASSING:
        name = "Unreachable"
    detail = str(body.get("detail") or f"{answer.request.url.path} was answered with {status}")
    return revive(name, detail, str(body.get("hint") or _HINTS.get(status, "")))


def _body(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
