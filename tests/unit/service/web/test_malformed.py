"""Bytes that no client library would send: a refusal, whatever they are, and never a fault."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.web import errors
from tests.unit.service.web.socket_server import Served, serving

pytestmark = pytest.mark.slow

KEYED = (
    *("GET /", "GET /studies/st_x", "GET /v1/studies", "POST /v1/studies"),
    "POST /v1/login-codes",
)
"""Who asks with a key comes further here; nowhere else is it looked at."""

ROUTES = (
    *("GET /livez", "GET /readyz", "GET /login", "GET /v1/openapi.json", "GET /static/page.css"),
    *("POST /login", "POST /logout", "POST /v1/workers/join", *KEYED),
)
STRANGERS = tuple(one for one in ROUTES if one not in ("GET /studies/st_x", "POST /v1/login-codes"))
"""Without a key those two come as far as "GET /" and "POST /v1/studies"."""

HEADERS = (
    *("Origin", "Host", "Referer", "Cookie", "Sec-Fetch-Site", "Content-Length", "Authorization"),
    *("Content-Type", "Transfer-Encoding", "Expect", "Upgrade", "X-Forwarded-For", "Last-Event-ID"),
    *("Idempotency-Key", "Range", "If-Modified-Since", "X-Content-SHA256"),
)
VALUES = (
    *(b"", b"[", b"http://[", b"http://[::1", b"http://a@b:c@[d", b"http://x:99999999", b"//"),
    *(
        b"\xff\xfe",
        b"\xb2",
        b"\x1b[2J",
        b"\xe2\x80\xae",
        b"%00",
        b"%",
        b"null",
        b"=",
        b";=;",
        b"-1",
    ),
    *(b"9" * 30, b"a" * 8000, b"Bearer", b"Bearer \xff", b"Basic \xff", b'rka_session="\\400"'),
)
SHARE = 4
"""One in so many pairs of route and value is tried with a header, other ones with the next."""

TARGETS = (
    *("/%", "/%zz", "/%00", "/%ff", "/%ed%a0%80", "//", "//[", "/[", "*", "@[", "http://[", "/;"),
    *("/login?code=%", "/login?code=%ff", "/login?code=%00", "/login?code=%ed%a0%80", "/login?&&"),
    *(
        "/v1/studies?after=%ed%a0%80",
        "/v1/studies?limit=%ff",
        "/v1/studies?limit=%d9%a3",
        "/login/",
    ),
    *("/v1/studies/%ed%a0%80", "/v1/keys/%ff", "/studies/%ff%00", "/v1/leases/%d9%a3/heartbeat"),
    *(
        "/static/%00",
        "/static/..%2f..%2frouter.py",
        "/static/%ff",
        "/static//etc/passwd",
        "/static",
    ),
    *("/%0d%0aSet-Cookie:x/", "/v1/workers/%2e%2e/quarantine", "/v1/audit?after=1_0", "/login/"),
)


@pytest.fixture(scope="module")
def served(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("malformed") / "data"
    with serving(Path(shutil.copytree(migrated, directory))) as running:
        yield running


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(errors.log, "error", lambda *what, **more: found.append((what, more)))
    return found


def _ask(served: Served, line: str, headers: dict[str, bytes], body: bytes = b"") -> bytes:
    head = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers.items())
    sent = f"{line} HTTP/1.1\r\n".encode() + head + b"Connection: close\r\n\r\n" + body
    with served.say(sent) as connection:
        return connection.recv(12)


def _with_a_key(served: Served) -> dict[str, bytes]:
    return {"Authorization": served.service.key("admin")["Authorization"].encode()}


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("has_key", [False, True])
def test_a_header_may_hold_anything(
    served: Served, faults: list[Any], header: str, has_key: bool
) -> None:
    pairs = list(itertools.product(KEYED if has_key else STRANGERS, VALUES))
    for route, value in pairs[HEADERS.index(header) % SHARE :: SHARE]:
        headers = {"Host": b"localhost", **(_with_a_key(served) if has_key else {})}
        if route.startswith("POST") and header != "Transfer-Encoding":
            headers["Content-Length"] = b"6"
        answer = _ask(served, route, headers | {header: value}, b"code=x")
        assert answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 3", b"HTTP/1.1 4")), (route, value)
    assert faults == []


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("has_key", [False, True])
def test_a_target_may_be_anything(
    served: Served, faults: list[Any], method: str, has_key: bool
) -> None:
    headers = {"Host": b"localhost", "Content-Length": b"0"}
    headers |= _with_a_key(served) if has_key else {}
    for target in TARGETS:
        answer = _ask(served, f"{method} {target}", headers)
        assert answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 3", b"HTTP/1.1 4")), target
    assert faults == []
