"""The service below a path of a shared name: behind real proxies, and as uvicorn is told of it."""

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from rankspace.errors import InvalidInput
from tests.unit.service.driver import model, settings, study
from tests.unit.service.web.socket_server import Served, serving

pytestmark = pytest.mark.slow

PREFIX = "/lab/rankadaptor"
LINK = re.compile(r'(?:href|src|action|data-stream|data-login)="([^"]*)"')
PASSED_ON = ("authorization", "cookie", "content-type", "origin")
OF_THE_CONNECTION = ("transfer-encoding", "content-length", "connection")


@contextmanager
def _proxy(upstream: str, *, strips: bool) -> Iterator[str]:
    """A proxy that shows ``upstream`` below ``PREFIX`` and nothing elsewhere; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(f"{PREFIX}/"):
                self._answer(404, {}, b"outside")
                return
            path = self.path.removeprefix(PREFIX) if strips else self.path
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: v for name, v in self.headers.items() if name.lower() in PASSED_ON}
            headers |= {"X-Forwarded-Prefix": "/of/the/caller"}
            told = client.request(self.command, upstream + path, headers=headers, content=body)
            self._answer(told.status_code, dict(told.headers), told.content)

        def do_POST(self) -> None:
            self.do_GET()

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in OF_THE_CONNECTION:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with (
        httpx.Client(trust_env=False) as client,
        ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server,
    ):
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class Below:
    """A service below ``PREFIX``, and a browser in front of it."""

    def __init__(self, served: Served, address: str) -> None:
        self.address, self.key = address, served.service.key("admin")
        self.past_the_proxy = httpx.Client(base_url=served.url, trust_env=False, timeout=20)
        self.browser = httpx.Client(base_url=f"{address}{PREFIX}/", trust_env=False, timeout=20)

    def close(self) -> None:
        self.browser.close()
        self.past_the_proxy.close()

    def log_in(self) -> httpx.Response:
        code = self.api("POST", "v1/login-codes").json()["code"]
        return self.browser.post("login", data={"code": code}, follow_redirects=True)

    def api(self, method: str, path: str, body: object = None) -> httpx.Response:
        return self.browser.request(method, path, json=body, headers=self.key)

    def links(self, page: httpx.Response) -> list[str]:
        """Where the page's links lead, as a browser resolves them; but for the icon in the page."""
        found = [urljoin(str(page.url), link) for link in LINK.findall(page.text)]
        return [address for address in found if not address.startswith("data:")]


@pytest.fixture(params=["strips", "strips, told", "passes on, told", "strips, uvicorn told"])
def below(directory: Path, request: pytest.FixtureRequest) -> Iterator[Below]:
    kind = str(request.param)
    root_path = PREFIX if kind.endswith(", told") else ""
    with ExitStack() as stack:
        served = stack.enter_context(serving(directory, root_path=root_path))
        if "uvicorn" in kind:
            served.server.config.root_path = PREFIX
        strips = kind.startswith("strips")
        found = Below(served, stack.enter_context(_proxy(served.url, strips=strips)))
        stack.callback(found.close)
        yield found


def test_every_page_link_form_and_redirect_stays_below(below: Below) -> None:
    first = below.browser.get("", follow_redirects=True)
    assert urlsplit(str(first.url)).path == f"{PREFIX}/login"
    assert below.api("POST", "v1/models", model()).status_code == 201
    submitted = below.api("POST", "v1/studies", study()).json()["id"]
    after = below.log_in()
    assert (after.status_code, str(after.url)) == (200, f"{below.address}{PREFIX}/")
    shown = [below.browser.get(f"studies/{name}") for name in (submitted, "st_aaaaaaaaaa")]
    assert [page.status_code for page in shown] == [200, 404]
    for page in (first, after, *shown):
        links = below.links(page)
        assert len(links) >= 4
        assert [at for at in links if not at.startswith(f"{below.address}{PREFIX}/")] == []
        for at in {
            at for at in links if not re.search("stream|logout|#main|(pause|clone|cancel)$", at)
        }:
            assert below.browser.get(at, follow_redirects=True).status_code == 200, at
    out = below.browser.post("logout", follow_redirects=True)
    assert str(out.url) == f"{below.address}{PREFIX}/login"


def test_whoever_looks_at_a_study_without_a_session_comes_to_the_form(below: Below) -> None:
    page = below.browser.get("studies/st_aaaaaaaaaa", follow_redirects=True)
    assert (page.status_code, str(page.url)) == (200, f"{below.address}{PREFIX}/login")


def test_what_a_caller_says_of_the_prefix_is_not_believed(below: Below) -> None:
    for path in ("login", "", "studies/st_aaaaaaaaaa"):
        page = below.browser.get(path)
        assert "/of/the/caller" not in page.text + str(page.headers)


@pytest.fixture
def told(directory: Path) -> Iterator[Below]:
    with (
        serving(directory, root_path=PREFIX) as served,
        _proxy(served.url, strips=True) as address,
    ):
        found = Below(served, address)
        try:
            yield found
        finally:
            found.close()


def test_addresses_that_the_interface_tells_begin_with_the_prefix(told: Below) -> None:
    made = told.api("POST", "v1/models", model())
    assert made.headers["location"].startswith(f"{PREFIX}/v1/models/")
    assert told.browser.get("v1/openapi.json").json()["servers"] == [{"url": PREFIX}]
    slash = told.api("GET", "v1/studies/")
    assert urlsplit(slash.headers["location"]).path == f"{PREFIX}/v1/studies"


def test_past_the_proxy_nothing_changes(told: Below) -> None:
    client = told.past_the_proxy
    for path in ("/v1/studies", f"{PREFIX}/v1/studies"):
        assert client.get(path, headers=told.key).json() == {"items": [], "next": None}
    bare = client.get(PREFIX, follow_redirects=False)
    assert (bare.status_code, bare.headers["location"]) == (307, f"{PREFIX}/")
    assert client.get(f"{PREFIX}x/login").status_code == 404


def test_limits_are_those_of_the_path_without_the_prefix(told: Below) -> None:
    answer = told.browser.post("login", data={"code": "x" * 5_000})
    assert answer.status_code == 413
    passed_on = told.past_the_proxy.post(f"{PREFIX}/login", data={"code": "x" * 5_000})
    assert passed_on.status_code == 413


@pytest.mark.parametrize("path", ["lab", "/a b", "/../x", "//x", "/v1", "/studies/x", "/a?b", "/é"])
def test_what_nothing_can_be_below_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidInput, match="root_path = ") as refused:
        settings(tmp_path, root_path=path).check()
    assert "/rankadaptor" in refused.value.hint


@pytest.mark.parametrize("path", ["", "/", "/lab/", "/lab/ra-1.0"])
def test_a_slash_at_its_end_does_not_matter(tmp_path: Path, path: str) -> None:
    found = settings(tmp_path, root_path=path)
    found.check()
    assert found.root_path == path.rstrip("/")
