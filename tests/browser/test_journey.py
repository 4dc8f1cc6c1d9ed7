"""What a person does with a study in the browser, from the first look to the download."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect

pytestmark = pytest.mark.soak


def test_a_study_is_watched_paused_resumed_and_extended(
    browser: "Browser", site: Site, tmp_path: Path
) -> None:
    service, study = site.service, site.running
    with browser.new_context(accept_downloads=True) as context:
        page = site.sign_in(context, "member")
        page.get_by_role("link", name="is under way").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("is under way")

        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        assert service.get(f"/v1/studies/{study}")["state"] == "paused"
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()

        page.evaluate("window.kept = true")
        service.work(1)
        expect(page.locator("main")).to_contain_text("4 of 7", timeout=20_000)
        service.work()
        expect(page.locator("main")).to_contain_text(
            "uniform ranks at the same budget", timeout=20_000
        )
        assert page.evaluate("window.kept"), "the page was loaded anew"

        page.get_by_role("link", name="Trials", exact=True).click()
        boxes = page.get_by_role("checkbox")
        boxes.nth(0).check()
        boxes.nth(1).check()
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_role("heading", name="what differs")).to_be_visible()

        page.get_by_role("link", name="Overview").click()
        with page.expect_download() as started:
            page.get_by_role("link", name="adapter_model.safetensors").click()
        assert Path(started.value.path()).read_bytes() == b"weights"
        page.get_by_role("link", name="Ranks", exact=True).click()
        with page.expect_download() as started:
            page.get_by_role("link", name="CSV").last.click()
        with Path(started.value.path()).open() as file:
            assert len(list(csv.DictReader(file))) >= 7

        page.goto(f"{site.url}/studies/{study}")
        page.locator("summary", has_text="Extend").click()
        page.get_by_label("More trials").fill("2")
        page.get_by_role("button", name="Extend").dblclick()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        assert service.get(f"/v1/studies/{study}")["study"]["search"]["budget"]["trials"] == 9
