"""A real Chromium on a real service with studies in every state."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.unit.service.driver import Service, listening, start

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
NASTY = "<script>window.harmed = 1</script>مرحبا" + "unbroken" * 12


@dataclass(frozen=True, slots=True)
class Site:
    """A service that listens, and a study in each state by its identity."""

    service: Service
    url: str
    done: str
    running: str
    failed: str
    nasty: str

    def sign_in(self, context: "BrowserContext", role: str = "admin") -> "Page":
        """A page of somebody with a key of ``role``, as `rankadaptor dashboard` lets them in."""
        headers = self.service.key("admin") if role == "admin" else self.service.issue(role)
        code = self.service.client.post("/v1/login-codes", headers=headers).json()["code"]
        page = context.new_page()
        page.goto(f"{self.url}/login?code={code}")
        page.get_by_role("button", name="Open").click()
        page.wait_for_url(f"{self.url}/")
        return page


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("site")
    app = start(home).app
    with listening(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        service = Service(app, client, home)
        failed = service.submit(name="all trials fail")
        service.work(measure=lambda _: None)
        done = service.submit(name="has a verdict", verify=VERIFY)
        service.work()
        nasty = service.submit(name=NASTY)
        service.report(service.claim(), None, error=NASTY)
        service.post(f"/v1/studies/{nasty}/pause")
        running = service.submit(name="is under way")
        service.work(3)
        yield Site(service, url, done, running, failed, nasty)


VERIFY = {"candidates": 1, "seeds": 3, "max_trials": 26, "random_control": True}
