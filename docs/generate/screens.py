"""``python -m docs.generate.screens STUDY [--url URL]``: the pictures of the pages, drawn anew.

Needs Playwright and Chromium, and a service with a finished study; the ones in docs/img are of the
tutorial's, whose commands anyone can type.
"""

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from rankadaptor.commands.options import connect

IMAGES = Path(__file__).parents[1] / "img"
SHOTS = (
    ("overview", "", 1280, 900, "light"),
    ("ranks", "/ranks", 1280, 1100, "light"),
    ("trials", "/trials", 1280, 700, "dark"),
    ("budget", "/budget", 1280, 900, "light"),
    ("narrow", "", 360, 760, "light"),
)
"""Name of the file, path below the study, width and height in pixels, colours."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study")
    parser.add_argument("--url")
    parser.add_argument("--to", type=Path, default=IMAGES)
    asked = parser.parse_args()
    asked.to.mkdir(exist_ok=True)
    with sync_playwright() as playwright, connect(asked.url) as client:
        program = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, path, width, height, colours in SHOTS:
            shot = _shot(browser, client.login_url(), asked.study + path, width, height, colours)
            (asked.to / f"{name}.png").write_bytes(shot)
        browser.close()


def _shot(browser: Browser, login: str, path: str, width: int, height: int, colours: str) -> bytes:
    size = {"width": width, "height": height}
    with browser.new_context(viewport=size, color_scheme=colours) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(login)
        page.get_by_role("button", name="Open").click()
        page.goto(f"{login.partition('/login')[0]}/studies/{path}", wait_until="load")
        page.locator("[data-coming]").first.wait_for(state="detached")
        return page.screenshot()


if __name__ == "__main__":
    main()
