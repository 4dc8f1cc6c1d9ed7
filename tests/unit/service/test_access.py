"""Who gets in, and what a stranger learns."""

import stat
from typing import Any

import pytest
import structlog
from starlette.routing import Route

from rankspace.errors import InvalidInput
from service.logs import redact
from service.settings import Settings
from tests.unit.service.driver import Service

OPEN = {"/livez", "/readyz", "/", "/login", "/studies/{study}", "/v1/openapi.json"}
WORKER = "/v1/leases"


def _routes(service: Service) -> list[tuple[str, str]]:
    document = service.client.get("/v1/openapi.json").json()
    return [(method.upper(), path) for path, verbs in document["paths"].items() for method in verbs]


def _call(service: Service, method: str, path: str, headers: Any = None) -> Any:
    filled = path.format(study="st_aaaaaaaaaa", model="md_a", trial="1", name="README.md")
    return service.client.request(method, filled, headers=headers)


def test_every_route_but_the_open_ones_wants_a_key(service: Service) -> None:
    closed = [route for route in _routes(service) if route[1] not in OPEN]
    assert len(closed) > 20
    for method, path in closed:
        for headers in (None, {"Authorization": "Bearer rka_nonsense"}):
            answer = _call(service, method, path, headers)
            assert answer.status_code == 401, (method, path, answer.text)
            assert answer.json()["error"] == "Unauthenticated"


def test_a_worker_key_opens_only_the_lease_routes(service: Service) -> None:
    for method, path in _routes(service):
        if path in OPEN:
            continue
        answer = _call(service, method, path, service.key("worker"))
        assert (answer.status_code == 403) == (not path.startswith(WORKER)), (method, path)


def test_every_route_is_in_the_matrix_above(service: Service) -> None:
    served = {route.path for route in service.app.routes if isinstance(route, Route)}
    described = {path for _, path in _routes(service)}
    assert served - described <= OPEN


def test_a_key_with_a_changed_secret_is_refused(service: Service) -> None:
    key = service.key("admin")["Authorization"]
    changed = key[:-1] + ("a" if key[-1] != "a" else "b")
    answer = service.client.get("/v1/studies", headers={"Authorization": changed})
    assert answer.status_code == 401


def test_keys_are_files_only_the_owner_can_read(service: Service) -> None:
    for role in ("admin", "worker"):
        mode = (service.directory / f"{role}.key").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600


def test_no_secret_is_stored_or_logged(service: Service) -> None:
    secret = service.key("admin")["Authorization"].rpartition("_")[2]
    stored = b"".join(p.read_bytes() for p in service.directory.glob("rankadaptor.sqlite*"))
    assert secret.encode() not in stored
    event = {"authorization": "Bearer x", "text": f"key rka_abcdefgh_{secret}", "cookie": "y"}
    logged = str(redact(structlog.get_logger(), "info", event))
    assert secret not in logged
    assert "Bearer" not in logged


def test_login_code_opens_the_pages_once(service: Service) -> None:
    assert service.client.get("/", follow_redirects=False).status_code == 303
    code = service.post("/v1/login-codes").json()["code"]
    assert code in service.client.get(f"/login?code={code}").text
    answer = service.client.post("/login", data={"code": code}, follow_redirects=False)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert service.client.get("/", follow_redirects=False).status_code == 200
    assert service.client.post("/login", data={"code": code}).status_code == 401


def test_the_cookie_reads_and_never_writes(service: Service) -> None:
    study = service.submit()
    code = service.post("/v1/login-codes").json()["code"]
    service.client.post("/login", data={"code": code})
    assert service.client.get(f"/v1/studies/{study}").status_code == 200
    assert service.client.post(f"/v1/studies/{study}/cancel").status_code == 401
    assert service.client.delete(f"/v1/studies/{study}").status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost:80:90"])
def test_other_hosts_are_refused(service: Service, host: str) -> None:
    answer = service.client.get("/livez", headers={"Host": host})
    assert (answer.status_code, answer.json()["error"]) == (403, "Forbidden")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8731", "[::1]:8731", "LOCALHOST:1"])
def test_local_hosts_are_answered(service: Service, host: str) -> None:
    assert service.client.get("/livez", headers={"Host": host}).status_code == 200


def test_every_answer_carries_the_security_headers(service: Service) -> None:
    for path in ("/login", "/livez", "/nowhere", "/static/page.css"):
        headers = service.client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_exposure_needs_named_hosts(host: str) -> None:
    with pytest.raises(InvalidInput, match="host"):
        Settings(host=host).check_exposure()
    Settings(host=host, allowed_hosts=("gpu.example",)).check_exposure()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_nothing(host: str) -> None:
    Settings(host=host).check_exposure()
