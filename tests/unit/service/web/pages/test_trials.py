"""The table of trials: some at a time, filtered and ordered on the server."""

import re

from service.web.pages.study.trials import Pages
from tests.unit.service.web.pages.conftest import Shown


def test_pages_are_counted_from_one() -> None:
    pages = Pages(3, total=120)
    assert (pages.last, pages.offset, pages.first_shown, pages.last_shown) == (3, 100, 101, 120)
    assert Pages(1, total=0).last == 1


def test_trials_are_filtered_and_ordered_by_the_database(shown: Shown) -> None:
    listed = shown.service.get(f"/v1/studies/{shown.done}/trials?limit=1000")["items"]
    search = [one for one in listed if one["purpose"] == "search"]
    by_score = sorted(search, key=lambda one: (-one["score"], -one["id"]))
    page = shown.text(
        f"/studies/{shown.done}/trials?purpose=search&order=best&column=seed&column=score"
    )
    assert _rows(page) == [one["id"] for one in by_score]
    assert 'class="strip"' not in page
    assert "No trial is like that" in shown.text(f"/studies/{shown.done}/trials?state=failed")


def _rows(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'name="trial" value="(\d+)"', page)]


def test_what_the_address_asks_for_and_nobody_knows_is_as_if_not_asked(shown: Shown) -> None:
    plain = shown.text(f"/studies/{shown.done}/trials")
    odd = "?state=%3Cb%3E&purpose=x&order=%00y&column=nothing".replace("%00", "")
    assert _rows(shown.text(f"/studies/{shown.done}/trials{odd}")) == _rows(plain)
    beyond = shown.text(f"/studies/{shown.done}/trials?page=999")
    assert "There are only 1 pages" in beyond
    assert shown.get(f"/studies/{shown.done}/trials?page=0").status_code == 422
