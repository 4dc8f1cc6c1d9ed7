"""Interim losses: what can be is kept, once a step, and no more than is of use."""

import pytest

from service.leases.interim import MOST, merged
from tests.unit.service.driver import ON_SQLITE, Service, holding
from tests.unit.service.telemetry.scraping import scrape

ABSURD = [
    (30.0, 1e308),
    (50.0, -1e308),
    (70.0, -0.5),
    (1e308, 3.0),
    (-1.0, 2.0),
    (0.5, 1.0),
    (101.0, 2.0),
]


@pytest.mark.parametrize("pair", ABSURD)
def test_what_cannot_be_is_left_out_and_counted(pair: tuple[float, float]) -> None:
    found = merged([(10, 3.0)], [(20.0, 2.0), pair], 100)
    assert (found.pairs, found.implausible) == (((10, 3.0), (20.0, 2.0)), 1)


@pytest.mark.parametrize("step", [0.5, -1.0, 1e308, 1e10])
def test_steps_of_whole_epochs_are_numbers_of_steps_too(step: float) -> None:
    found = merged([], [(5_000.0, 2.0), (step, 2.0)], 0)
    assert (found.pairs, found.implausible) == (((5_000.0, 2.0),), 1)


def test_steps_rise_however_they_came() -> None:
    found = merged([(3, 1.0), (1, 3.0)], [(2.0, 2.0), (3.0, 0.5)], 10)
    assert found.pairs == ((1, 3.0), (2.0, 2.0), (3.0, 0.5))


@pytest.mark.parametrize("steps", [1, 49, 50, 99, 5_000, 10**6])
def test_all_that_a_worker_sends_of_a_trial_is_kept(steps: int) -> None:
    sent = [(float(step), 2.0) for step in range(1, steps + 1) if step % max(1, steps // 50) == 0]
    known: tuple[tuple[float, float], ...] = ()
    for pair in sent:
        known = merged(known, [pair], steps).pairs
    assert known == tuple(sent)


def test_of_endless_epochs_the_same_steps_are_kept_whatever_came_together() -> None:
    sent = [(float(step), 2.0) for step in range(50, 400_000, 50)]
    at_once = merged([], sent, 0).pairs
    by_turns: tuple[tuple[float, float], ...] = ()
    for begin in range(0, len(sent), 7):
        by_turns = merged(by_turns, sent[begin : begin + 7], 0).pairs
    assert MOST / 2 <= len(at_once) <= MOST
    assert at_once[-1] == by_turns[-1] == sent[-1]
    assert {step % 400 for step, _ in (*at_once[:-1], *by_turns[:-1])} == {0}


@ON_SQLITE
def test_an_absurd_heartbeat_renews_the_lease_and_is_counted(service: Service) -> None:
    study, lease = service.submit(), service.claim()
    sent = [[1, 3.0], [2, 1e308], [99, 2.0], [1.5, 2.0]]
    body = {**holding(lease), "interim": sent}
    for _ in range(2):
        answer = service.post(f"/v1/leases/{lease['trial_id']}/heartbeat", body, "worker")
        assert answer.json() == {"lease_seconds": 60.0, "action": "continue"}
    trial = service.get(f"/v1/studies/{study}/trials?limit=1")["items"][0]
    assert trial["interim"] == [[1, 3.0]]
    assert "rankadaptor_implausible_interim_total 6.0" in scrape(service).text


def test_steps_of_no_common_grid_are_thinned_as_far_and_no_further() -> None:
    odd = [(float(step), 2.0) for step in range(1, 4 * MOST, 2)]
    kept = merged([], odd, 4 * MOST).pairs
    assert MOST // 4 <= len(kept) <= MOST
    assert kept[-1] == odd[-1]
