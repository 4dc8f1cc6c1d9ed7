"""From an HTTP answer to the message it carries, or to the error it stands for."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import httpx

from rankspace.errors import (
    InvalidInput,
    RankspaceError,
    Unreachable,
    UnsupportedVersion,
    revive,
)
from rankspace.wire import decode, only
from worker.errors import Busy

T = TypeVar("T")

SAME_VERSION = "install the same version of rankadaptor on both sides"
_TOO_MANY = 429
_PASSING = frozenset({408, _TOO_MANY})
"""Refusals that, like every 5xx, may be over at the next try."""

LONGEST_WAIT_SECONDS = 10.0

_GATEWAYS: Mapping[int, str] = MappingProxyType(
    {401: "Unauthenticated", 403: "Forbidden", 413: "TooLarge"}
)
"""What a proxy in between may answer by itself, without one of our bodies."""

_KEY = "give a key of role worker in RANKADAPTOR_KEY or RANKADAPTOR_KEY_FILE"
_HINTS: Mapping[int, str] = MappingProxyType({401: _KEY, 403: _KEY, 426: SAME_VERSION})


def read(kind: type[T], answer: httpx.Response, *, strictly: bool = False) -> T:
    """Return the message; what a later service says beyond it is passed over unless ``strictly``.

    Raises:
        Unreachable: Something in between has answered.
        UnsupportedVersion: It is not to be understood.
    """
    body = json_of(answer)
    try:
        return decode(kind, body if strictly else only(kind, body))
    except InvalidInput as error:
        problem = f"the service's {kind.__name__} cannot be read here: {error.detail}"
        raise UnsupportedVersion(problem, hint=SAME_VERSION) from error


def json_of(answer: httpx.Response) -> Any:
    """Return the body, which a proxy's page is not.

    Raises:
        Unreachable: It is not JSON.
    """
    try:
        return answer.json()
    except ValueError:
        raise Unreachable(
            f"{answer.request.url} answered something that is not JSON",
            hint="check that the address is the service's own and not a proxy's page",
        ) from None


def error_of(answer: httpx.Response) -> RankspaceError:
    """Return the error to raise; its text is the service's own where it gave one."""
    body, status = _body(answer), answer.status_code
    detail = str(body.get("detail") or f"{answer.request.url.path} was answered with {status}")
    hint = str(body.get("hint") or _HINTS.get(status, ""))
    if status == _TOO_MANY:
        return Busy(detail, hint=hint, wait_seconds=_wait_seconds(answer))
    name = str(body.get("error") or _GATEWAYS.get(status, "Unreachable"))
    if status >= 500 or status in _PASSING:
        name = "Unreachable"
    return revive(name, detail, hint)


def _wait_seconds(answer: httpx.Response) -> float:
    """What ``Retry-After`` says; one second for a date or nonsense, which we never send."""
    said = answer.headers.get("retry-after", "")
    return min(float(said), LONGEST_WAIT_SECONDS) if said.isdecimal() else 1.0


def _body(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
