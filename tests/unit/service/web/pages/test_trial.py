"""One trial with its attempts, and two of them compared by what differs."""

import re
from typing import Any

import pytest

from rankspace import Layer, RankVector, SearchSpace
from rankspace.lease import PROTOCOL, Claim
from rankspace.wire import encode
from service.web.pages.charts.difference import Change, Difference, difference
from service.web.pages.charts.losses import losses
from tests.unit.service.driver import holding
from tests.unit.service.web.pages.conftest import NASTY, Shown


def _search(shown: Shown) -> list[dict[str, Any]]:
    listed = shown.service.get(f"/v1/studies/{shown.done}/trials?limit=1000")["items"]
    return [one for one in listed if one["purpose"] == "search"]


def test_a_trial_says_what_ran_where_and_how_it_ended(shown: Shown) -> None:
    one = _search(shown)[-1]
    page = shown.text(f"/studies/{shown.done}/trials/{one['id']}", "viewer")
    for said in (f"{one['score']:.4f}", one["reason"], str(one["seed"]), "w1", "10 steps"):
        assert said in page
    assert page.count('<td class="text">w1</td>') == 1
    assert 'class="ranks"' in page


def test_a_trial_of_another_study_is_not_there(shown: Shown) -> None:
    path = f"/studies/{shown.fresh}/trials/{_search(shown)[0]['id']}"
    assert shown.get(path).status_code == 404
    assert shown.get(f"/studies/{shown.done}/compare?trial=1&trial=999999").status_code == 404


def test_losses_and_names_of_attempts_are_shown_as_they_are(shown: Shown) -> None:
    worker = NASTY.replace("/", "")
    claim = encode(Claim(worker, PROTOCOL))
    lease = shown.service.post("/v1/leases", claim, "worker").json()
    assert lease["study_id"] == shown.fresh
    beat = {**holding(lease, worker=worker), "interim": [[2, 3.0], [4, 2.5]]}
    shown.service.post(f"/v1/leases/{lease['trial_id']}/heartbeat", beat, "worker")
    page = shown.text(f"/studies/{shown.fresh}/trials/{lease['trial_id']}")
    assert "step 4: 2.5000" in page
    assert worker not in page
    assert "&lt;script&gt;" in page


def test_a_comparison_shows_only_what_differs(shown: Shown) -> None:
    left, right = _search(shown)[0], _search(shown)[-1]
    page = shown.text(f"/studies/{shown.done}/compare?trial={left['id']}&trial={right['id']}")
    pairs = zip(left["rank_vector"], right["rank_vector"], strict=True)
    differing = sum(a != b for a, b in pairs)
    assert f"{differing} of 12 layers differ" in page
    assert len(re.findall(r'class="n (?:more|less)"', page)) == differing
    assert ">Worker<" not in page  # the same
    itself = shown.text(f"/studies/{shown.done}/compare?trial={left['id']}&trial={left['id']}")
    assert "Both have the same ranks" in itself


@pytest.mark.parametrize(("asked", "said"), [("", "Nothing is ticked"), ("?trial=1", "One is")])
def test_another_number_than_two_says_what_to_do(shown: Shown, asked: str, said: str) -> None:
    assert said in shown.text(f"/studies/{shown.done}/compare{asked}")


def test_a_difference_leaves_out_what_is_the_same() -> None:
    layers = tuple(Layer(f"{b}.{k}", 1, b, k) for b in (0, 1) for k in ("q_proj", "o_proj"))
    space = SearchSpace(layers, (0, 2, 4), 99)
    found = difference(RankVector((2, 2, 2, 4)), RankVector((2, 2, 2, 0)), space)
    assert found == Difference((Change("1.o_proj", 4, 0),), ("o_proj",), ((1, (-4,)),))
    plain = SearchSpace((Layer("a", 1),), (0, 2), 9)
    assert difference(RankVector((0,)), RankVector((2,)), plain).rows == ()


def test_every_attempt_has_a_line_of_its_own() -> None:
    found = losses([(1, [(1, 3.0), (2, 2.0)]), (2, []), (3, [(1, 2.9), (3, 1.5)])])
    assert found is not None
    assert [line.attempt for line in found.lines] == [1, 3]
    assert found.last == (3, 1.5)
    assert found.lines[1].dots[1][1] > found.lines[1].dots[0][1]  # lower is further down
    assert losses([(1, [(1, 3.0)])]) is None
