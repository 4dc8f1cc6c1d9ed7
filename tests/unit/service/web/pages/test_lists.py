"""The list of studies and the fleet: found, ordered, and of one's own project only."""

import re
from typing import Any

import pytest

from rankspace.lease import PROTOCOL, Claim
from rankspace.wire import encode
from service.web.pages import listing
from tests.unit.service.web.pages.conftest import NASTY, Shown


def _named(page: str) -> list[str]:
    return re.findall(r'<th scope="row" class="name"><a href="studies/(\w+)"', page)


def test_studies_are_found_by_name_and_state(shown: Shown) -> None:
    assert _named(shown.text("/")) == [shown.fresh, shown.done]
    assert _named(shown.text("/?state=done")) == [shown.done]
    assert _named(shown.text("/?name=SCRIPT")) == [shown.fresh]
    assert _named(shown.text("/?name=%25")) == []  # no pattern of the database's
    assert "No study is like that" in shown.text("/?name=nothing")
    assert _named(shown.text("/?state=nonsense&order=nonsense")) == [shown.fresh, shown.done]


@pytest.mark.parametrize("order", listing.ORDERS)
def test_studies_are_ordered_and_what_is_not_known_comes_last(shown: Shown, order: str) -> None:
    first = {"gain": shown.done, "name": shown.fresh, "state": shown.fresh, "time left": None}
    found = _named(shown.text(f"/?order={order}"))
    assert sorted(found) == sorted([shown.fresh, shown.done])
    assert first[order] in (None, found[0])


def test_a_gain_says_whether_it_was_verified(shown: Shown) -> None:
    gain = shown.service.get(f"/v1/studies/{shown.done}/verdict")["versus_uniform"]["gain"]
    page = shown.text("/?state=done")
    assert f"{gain:+.4f}</td>" in page
    assert "unverified" not in page


def test_what_is_left_out_is_counted(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LISTED", 1)
    page = shown.text("/?order=name")
    assert "The newest 1 of 2" in page
    assert len(_named(page)) == 1


def test_the_fleet_shows_workers_of_one_s_own_and_what_waits(shown: Shown) -> None:
    worker = NASTY.replace("/", "")
    claim = encode(Claim(worker, PROTOCOL))
    lease: Any = shown.service.post("/v1/leases", claim, "worker").json()
    foreign = shown.service.issue("worker", "elsewhere")
    other = encode(Claim("of-elsewhere", PROTOCOL))
    shown.service.client.post("/v1/leases", json=other, headers=foreign)
    page = shown.text("/fleet", "viewer")
    assert f"studies/{shown.fresh}/trials/{lease['trial_id']}" in page
    assert "of-elsewhere" not in page
    assert worker not in page
    assert "&lt;script&gt;" in page
    assert "rankadaptor workers reinstate" not in page


def test_quarantine_is_said_with_its_reason(shown: Shown) -> None:
    shown.service.post("/v1/workers/w1/quarantine", {"reason": "the fan is broken"})
    page = shown.text("/fleet")
    assert "the fan is broken" in page
    assert "1 in quarantine" in page
    shown.service.post("/v1/workers/w1/reinstate")
    assert "the fan is broken" not in shown.text("/fleet")
