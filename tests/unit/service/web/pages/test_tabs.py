"""Every tab: at an address of its own, with its own data only, without inline script or style."""

import re

import pytest

from tests.unit.service.web.pages.conftest import NASTY, Shown

TABS = {
    "": "Best score so far",
    "/ranks": "Rank of each matrix",
    "/trials": 'class="trials"',
    "/model": "What it would try next",
    "/budget": "What the work took",
    "/events": "What happened, the latest first",
}
"""What only this tab shows."""


@pytest.mark.parametrize("tab", TABS)
def test_a_tab_shows_its_own_data_and_no_other_s(shown: Shown, tab: str) -> None:
    page = shown.text(f"/studies/{shown.done}{tab}")
    assert [of for of, what in TABS.items() if what in page] == [tab]
    assert page.count('aria-current="page"') == 1


@pytest.mark.parametrize("tab", TABS)
def test_a_tab_is_strict_and_no_markup_of_anybody_s_runs(shown: Shown, tab: str) -> None:
    answer = shown.get(f"/studies/{shown.fresh}{tab}")
    assert "script-src 'self'; style-src 'self'" in answer.headers["Content-Security-Policy"]
    assert NASTY not in answer.text
    assert "&lt;script&gt;" in answer.text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", answer.text)


def test_who_looks_again_gets_the_middle_and_nothing_while_it_is_the_same(shown: Shown) -> None:
    path = f"/studies/{shown.done}/events"
    whole = shown.text(path)
    part = shown.get(path, headers={"X-Part": "main"})
    assert part.text.startswith("<main")
    assert part.text.endswith("</main>")
    assert part.text in whole
    again = shown.get(path, headers={"X-Part": "main", "If-None-Match": part.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_strange_tab_and_a_study_that_is_not_there_are_not_found(shown: Shown) -> None:
    assert shown.get(f"/studies/{shown.done}/nonsense").status_code == 404
    missing = shown.get("/studies/st_aaaaaaaaaa/ranks")
    assert (missing.status_code, "Not found" in missing.text) == (404, True)


def test_events_go_back_page_by_page(shown: Shown) -> None:
    path, seen = f"/studies/{shown.done}/events", list[int]()
    while True:
        page = shown.text(path)
        seen += [int(n) for n in re.findall(r'<tr><td class="n">(\d+)</td>', page)]
        more = re.search(r'rel="next" href="(\?before=\d+)"', page)
        if more is None:
            break
        path = f"/studies/{shown.done}/events{more.group(1)}"
    told = shown.service.get(f"/v1/studies/{shown.done}/events?limit=1000")["items"]
    assert seen == [event["id"] for event in reversed(told)]
    assert len(seen) > 50


def test_the_budget_says_what_came_to_nothing(shown: Shown) -> None:
    page = shown.text(f"/studies/{shown.done}/budget")
    assert "of workers' time, of which 0 s came to nothing" in page
