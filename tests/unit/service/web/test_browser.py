"""The browser's side: a cookie that only its host gets, and a form that only its page sends."""

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.unit.service.driver import Service, start


def _log_in(service: Service, client: Any = None, **headers: str) -> Any:
    code = service.post("/v1/login-codes").json()["code"]
    client = client or service.client
    return client.post("/login", data={"code": code}, headers=headers, follow_redirects=False)


def _cookie(answer: Any) -> tuple[str, set[str]]:
    pair, *flags = answer.headers["set-cookie"].split("; ")
    return pair.partition("=")[0], {flag.lower() for flag in flags}


def test_on_this_machine_the_cookie_is_plain(service: Service) -> None:
    name, flags = _cookie(_log_in(service))
    assert name == "rka_session"
    assert {"httponly", "samesite=strict", "path=/"} <= flags
    assert "secure" not in flags


def test_over_https_the_cookie_is_its_host_s_alone(service: Service) -> None:
    client = TestClient(service.app, base_url="https://localhost")
    name, flags = _cookie(_log_in(service, client))
    assert name == "__Host-rka_session"
    assert {"httponly", "samesite=strict", "path=/", "secure"} <= flags
    assert not any(flag.startswith("domain") for flag in flags)
    assert client.get("/", follow_redirects=False).status_code == 200


def test_tls_in_front_of_the_service_can_be_told(directory: Path) -> None:
    service = start(directory, secure_cookies=True)
    with service.client:
        answer = _log_in(service)
        name, flags = _cookie(answer)
        assert (name, "secure" in flags) == ("__Host-rka_session", True)
        secret = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
        for sent, status in (("rka_session", 303), ("__Host-rka_session", 200)):
            headers = {"Cookie": f"{sent}={secret}"}
            page = service.client.get("/", headers=headers, follow_redirects=False)
            assert page.status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"}, 403),
        ({"Origin": "http://testserver"}, 303),
        ({"Origin": "https://front.example"}, 303),
        ({"Origin": "http://testserver:81"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://front.example.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://["}, 400),
        ({"Origin": "http://[::1"}, 400),
        ({"Origin": "http://testserver]"}, 400),
        ({"Origin": "http://[nonsense]"}, 400),
        ({"Origin": "http://testserver:port"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://["}, 303),
        ({"Sec-Fetch-Site": "["}, 403),
    ],
)
def test_a_form_of_another_site_logs_nobody_in(
    directory: Path, headers: dict[str, str], status: int
) -> None:
    service = start(directory, allowed_hosts=("Front.example",))
    with service.client:
        assert _log_in(service, **headers).status_code == status


def test_a_refused_form_leaves_the_code_good(service: Service) -> None:
    code = service.post("/v1/login-codes").json()["code"]
    statuses = [
        service.client.post("/login", data={"code": code}, headers=headers).status_code
        for headers in ({"Origin": "https://evil.example"}, {})
    ]
    assert statuses == [403, 200]


def test_a_form_is_short(service: Service) -> None:
    sizes = (100, 4_000, 5_000)
    statuses = [service.client.post("/login", data={"code": "x" * n}).status_code for n in sizes]
    assert statuses == [401, 401, 413]


def test_the_form_tells_its_origin(service: Service) -> None:
    """With a policy of no-referrer browsers would send ``Origin: null``."""
    assert service.client.get("/login").headers["referrer-policy"] == "same-origin"


def _secret(answer: Any) -> str:
    return str(answer.headers["set-cookie"].partition("=")[2].partition(";")[0])


def _page(service: Service, secret: str) -> int:
    headers = {"Cookie": f"rka_session={secret}"}
    return int(service.client.get("/", headers=headers, follow_redirects=False).status_code)


def _log_out(service: Service, secret: str, **headers: str) -> Any:
    service.client.cookies.clear()
    sent = {"Cookie": f"rka_session={secret}", **headers}
    return service.client.post("/logout", headers=sent, follow_redirects=False)


def test_logging_out_ends_the_session_wherever_its_cookie_lies(service: Service) -> None:
    mine, other = (_secret(_log_in(service)) for _ in range(2))
    answer = _log_out(service, mine)
    assert (answer.status_code, answer.headers["location"]) == (303, "login")
    assert [_page(service, secret) for secret in (mine, other)] == [303, 200]
    last = service.get("/v1/audit?limit=1000")["items"][-1]
    assert (last["method"], last["route"], last["status"]) == ("POST", "/logout", 303)


def test_logging_out_takes_the_cookie_back(service: Service) -> None:
    name, flags = _cookie(_log_out(service, _secret(_log_in(service))))
    assert name == "rka_session"
    assert {"httponly", "samesite=strict", "path=/", "max-age=0"} <= flags
    client = TestClient(service.app, base_url="https://localhost")
    _log_in(service, client)
    assert "__Host-rka_session" in client.cookies
    client.post("/logout", follow_redirects=False)
    assert dict(client.cookies) == {}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://["}, 400),
    ],
)
def test_no_other_site_logs_anybody_out(
    service: Service, headers: dict[str, str], status: int
) -> None:
    secret = _secret(_log_in(service))
    assert _log_out(service, secret, **headers).status_code == status
    assert _page(service, secret) == 200


def test_a_link_logs_nobody_out(service: Service) -> None:
    _log_in(service)
    assert service.client.get("/logout").status_code == 405
    assert service.client.get("/").status_code == 200


@pytest.mark.parametrize("secret", ["", "junk", "%00"])
def test_without_a_session_there_is_nothing_to_end(service: Service, secret: str) -> None:
    assert _log_out(service, secret).headers["location"] == "login"


def test_the_pages_have_the_button_and_the_form_has_none(service: Service) -> None:
    study, button = service.submit(), re.compile(r'action="(\.\./)?logout"')
    assert not button.search(service.client.get("/login").text)
    _log_in(service)
    for path in ("/", f"/studies/{study}", "/studies/st_aaaaaaaaaa"):
        assert button.search(service.client.get(path).text)
