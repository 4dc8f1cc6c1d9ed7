"""Every page in a real browser: light and dark, narrow and wide, with hostile names."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

pytestmark = pytest.mark.soak

TABS = ("", "/ranks", "/trials", "/model", "/budget", "/events")
SERIOUS = {"serious", "critical"}
SETTINGS = [(1280, "light"), (360, "dark")]


def paths(site: Site) -> Iterator[str]:
    yield from ("/", "/fleet")
    for study in (site.done, site.running, site.failed, site.nasty):
        yield from (f"/studies/{study}{tab}" for tab in TABS)
    first, second = (trial["id"] for trial in site.service.get(trials_of(site.done))["items"][:2])
    yield f"/studies/{site.done}/trials/{first}"
    yield f"/studies/{site.done}/compare?trial={first}&trial={second}"


def trials_of(study: str) -> str:
    return f"/v1/studies/{study}/trials"


@pytest.fixture(params=SETTINGS, ids=lambda setting: f"{setting[0]}-{setting[1]}")
def context(request: Any, browser: "Browser") -> "Iterator[BrowserContext]":
    width, scheme = request.param
    made = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=False
    )
    yield made
    made.close()


def faults(page: "Page", site: Site) -> Iterator[str]:
    """What is wrong with each page, by its path."""
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
    for path in paths(site):
        said.clear()
        answer = page.goto(site.url + path, wait_until="load")
        assert answer is not None
        if answer.status != 200:
            yield f"{path}: status {answer.status}"
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if over > 0:
            yield f"{path}: {over} pixels too wide"
        if page.evaluate("window.harmed"):
            yield f"{path}: a name was run as a script"
        for found in axe.Axe().run(page).response["violations"]:
            if found["impact"] in SERIOUS:
                nodes = [node["html"][:120] for node in found["nodes"][:3]]
                yield f"{path}: {found['id']}: {nodes}"
        yield from (f"{path}: {line}" for line in said)


def test_no_page_has_a_fault(context: "BrowserContext", site: Site) -> None:
    """Console errors hold every violation of the Content-Security-Policy, too."""
    page = site.sign_in(context)
    assert list(faults(page, site)) == []


def test_a_viewer_sees_no_button_that_would_be_refused(browser: "Browser", site: Site) -> None:
    with browser.new_context() as context:
        page = site.sign_in(context, "viewer")
        for path in paths(site):
            page.goto(site.url + path)
            posts = page.locator("form[method=post]").evaluate_all("all => all.map(f => f.action)")
            assert posts == [f"{site.url}/logout"], path
