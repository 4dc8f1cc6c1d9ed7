"""Calibration, front and noise over REST: what they say at each stage of a study."""

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from rankadaptor.rest.client import RestClient
from rankspace.calibration import Calibration, Noise, Trust
from rankspace.errors import NotFound
from rankspace.front import Finding, Front, Promise
from rankspace.wire import decode
from service.insights import cache, making
from service.insights.front import known_front
from service.storage.documents import plain_checked
from service.storage.tables import TrialRow
from service.web.routers import insights
from tests.unit.service.beginnings import SEARCHED
from tests.unit.service.driver import (
    ON_BOTH,
    SEARCH,
    Service,
    measurement,
    outcome,
    price,
    score,
    start,
)
from tests.waiting import wait_for

pytestmark = pytest.mark.slow


def test_before_the_first_score_there_is_nothing_to_show(service: Service) -> None:
    study = service.submit()
    assert service.get(f"/v1/studies/{study}/calibration")["trust"] == Trust.TOO_EARLY
    for what in ("front", "noise"):
        answer = service.client.get(f"/v1/studies/{study}/{what}", headers=service.key("admin"))
        assert (answer.status_code, answer.json()["error"]) == (409, "Conflict")
    for what in ("calibration", "front", "noise"):
        answer = service.client.get(f"/v1/studies/st_none/{what}", headers=service.key("admin"))
        assert answer.status_code == 404


@ON_BOTH
@SEARCHED
def test_predictions_are_judged_as_they_stood_when_the_trial_was_claimed(
    service: Service,
) -> None:
    study = service.only_study()
    found = decode(Calibration, service.get(f"/v1/studies/{study}/calibration"))
    trials = {
        trial["id"]: trial
        for trial in service.get(f"/v1/studies/{study}/trials")["items"]
        if trial["purpose"] == "search"
    }
    predicted = {number for number, trial in trials.items() if trial["mean"] is not None}
    assert {point.trial for point in found.points} == predicted
    assert len(predicted) >= 20
    assert found.noise is not None
    with service.app.state.runtime.database.reading() as session:
        rows = session.execute(select(TrialRow.id, TrialRow.noise)).all()
    kept = {trial: noise for trial, noise in rows if noise is not None}
    assert kept
    for point in found.points:
        trial = trials[point.trial]
        assert (point.mean, point.score) == (trial["mean"], trial["score"])
        assert math.isclose(
            point.std, math.hypot(trial["std"], kept.get(trial["id"], found.noise.sd))
        )
    assert [seen.count for seen in found.coverage] == [len(predicted)] * 3
    assert found.crps is not None
    assert found.crps_baseline is not None
    assert found.crps < found.crps_baseline  # the model knows more than the mean


def test_trials_cut_short_are_not_held_against_the_model(service: Service) -> None:
    study = service.submit(search=SEARCH)
    service.work(8)
    lease = service.claim()
    body = {**outcome(lease, -9.0), "measurement": {**measurement(-9.0, lease), "steps": 3}}
    service.post(f"/v1/leases/{lease['trial_id']}/report", body, "worker")
    found = decode(Calibration, service.get(f"/v1/studies/{study}/calibration"))
    assert lease["trial_id"] not in {point.trial for point in found.points}


@ON_BOTH
@SEARCHED
def test_the_front_holds_what_nothing_beats(service: Service) -> None:
    study = service.only_study()
    found = decode(Front, service.get(f"/v1/studies/{study}/front"))
    parameters = [point.parameters for point in found.points]
    means = [point.mean for point in found.points]
    assert parameters == sorted(set(parameters))
    assert means == sorted(set(means))
    assert found.uniform.rank_vector.ranks == (2,) * 12
    assert [point.rank_vector.ranks[0] for point in found.uniforms] == [0, 1, 2]
    assert found.verified is None


@SEARCHED
def test_the_noise_lies_in_its_interval_and_says_what_it_rests_on(service: Service) -> None:
    study = service.only_study()
    found = decode(Noise, service.get(f"/v1/studies/{study}/noise"))
    assert 0.0 < found.low < found.sd < found.high
    assert "24 scores" in found.source


def test_the_python_client_reads_all_three(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = service.submit()
    service.work(6)
    service.client.headers.update(service.key("admin"))
    with RestClient("http://testserver", "unused") as client:
        client.close()
        monkeypatch.setattr(client, "_http", service.client)
        assert client.calibration(study).noise == client.noise(study)
        assert client.front(study).uniform.rank_vector.ranks == (2,) * 12
        with pytest.raises(NotFound):
            client.front("st_none")


def _front(service: Service, study: str) -> Front:
    return decode(Front, service.get(f"/v1/studies/{study}/front"))


class Slow:
    """Makes fronts as ever, once it may."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.begun = 0

    def __call__(self, *given: Any) -> Front | None:
        self.begun += 1
        made = known_front(*given)
        self.may_go_on.wait()
        return made


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    slow = Slow()
    monkeypatch.setattr(making, "INSIGHTS", {**making.INSIGHTS, "front": slow})
    return slow


@pytest.fixture
def dear(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service for which all is dear, and a front is good for the whole test."""
    monkeypatch.setattr(cache, "PAUSES", 1e9)
    running = start(directory, fresh_seconds=1e-9)
    with running.client:
        yield running


def test_a_dear_front_is_shared_says_its_age_and_ends_with_its_stage(
    dear: Service, slow: Slow
) -> None:
    study = dear.submit()
    dear.work(5)
    dear.sweep()
    first = _front(dear, study)
    assert (len(first.tried), first.age_seconds, slow.begun) == (5, 0.0, 1)
    assert (_front(dear, study), slow.begun) == (first, 1)
    dear.work(1)
    old = _front(dear, study)
    assert (old.tried, slow.begun) == (first.tried, 1)
    assert old.age_seconds > 0.0
    dear.work(1)
    dear.sweep()  # the search is over
    ended = _front(dear, study)
    assert (len(ended.tried), ended.age_seconds) == (7, 0.0)


def test_a_front_that_began_before_the_end_is_not_the_first_one_after_it(
    dear: Service, slow: Slow
) -> None:
    study = dear.submit()
    dear.work(6)
    dear.sweep()
    slow.may_go_on.clear()
    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(_front, dear, study)
        wait_for(lambda: slow.begun == 1)
        dear.work(1)
        dear.sweep()
        after = pool.submit(_front, dear, study)
        slow.may_go_on.set()
        assert (len(before.result().tried), len(after.result().tried)) == (6, 7)


def test_who_waits_for_the_planning_holds_nobody_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    early, other = (service.submit(name=name) for name in ("early", "other"))
    service.work(6)
    service.sweep()
    knowledge = service.app.state.runtime.insights._make_insight.__self__._knowledge
    planned, asked = knowledge._planned, list[str]()
    monkeypatch.setattr(knowledge, "_planned", lambda s: None if s == early else planned(s))
    monkeypatch.setattr(knowledge, "_plan", asked.append)
    monkeypatch.setattr(insights, "LOOK_SECONDS", 1.0)
    path = f"/v1/studies/{early}/front"
    with ThreadPoolExecutor(6) as pool:
        asking = [
            pool.submit(service.client.get, path, headers=service.key("admin")) for _ in range(6)
        ]
        wait_for(lambda: asked)
        for _ in range(3):
            assert service.get(f"/v1/studies/{other}/front")["tried"]
        assert not any(one.done() for one in asking)
        answers = [one.result() for one in asking]
    assert {(one.status_code, one.json()["error"]) for one in answers} == {(503, "Unreachable")}
    assert all(int(one.headers["retry-after"]) >= 1 for one in answers)
    assert set(asked) == {early}


@SEARCHED
@pytest.mark.parametrize(
    ("lost", "finding"), [(0.3, Finding.REFUTED), (-0.3, Finding.CONFIRMED)], ids=str
)
def test_what_the_verification_found_of_the_cheaper_vector_is_said(
    service: Service, lost: float, finding: Finding
) -> None:
    study = service.only_study()
    promised = _front(service, study)
    assert promised.cheapest is not None
    assert not promised.checked
    cheap = promised.cheapest
    assert f"{cheap.parameters:,} parameters are predicted to be enough" in promised.summary
    assert "to be verified" in promised.summary

    def measure(lease: Any) -> float:
        is_cheap = lease["purpose"] == "verify" and price(lease) == cheap.parameters
        return score(lease) - lost * is_cheap

    service.work(measure=measure)
    found = _front(service, study)
    (checked,) = [one for one in found.checked if one.rank_vector == cheap.rank_vector]
    assert (checked.promise, checked.finding) == (Promise.ENOUGH, finding)
    assert (checked.comparison.gain < 0.0) == (lost > 0.0)
    assert f"{cheap.parameters:,} parameters are predicted to be enough" not in found.summary
    is_refuted = finding is Finding.REFUTED
    assert (found.verified is None or found.verified.parameters != cheap.parameters) == is_refuted
    if is_refuted:
        assert f"Refuted: that the vector of {cheap.parameters:,} parameters" in found.summary
        assert found.cheapest is None or found.cheapest.parameters > cheap.parameters
    verdict = service.get(f"/v1/studies/{study}/verdict")
    assert (found.verified is None) == (verdict["versus_uniform_cheapest"] is None)
    if found.verified is not None:
        cheapest = list(found.verified.rank_vector.ranks)
        assert cheapest == verdict["cheapest_rank_vector"]["ranks"]
    winner = found.checked[0]
    assert list(winner.rank_vector.ranks) == verdict["best_rank_vector"]["ranks"]
    assert winner.comparison.gain == verdict["versus_uniform"]["gain"]


@SEARCHED
def test_while_its_intervals_are_too_narrow_a_front_says_no_error(service: Service) -> None:
    study = service.only_study()
    with service.app.state.runtime.database.writing() as session:
        session.execute(update(TrialRow).values(std=1e-9, mean=TrialRow.mean + 1.0))
    service.work(1, measure=score)
    assert service.get(f"/v1/studies/{study}/calibration")["trust"] == Trust.NARROW
    found = _front(service, study)
    assert found.trust is Trust.NARROW
    assert "give or take" not in found.summary
    assert "their intervals are too narrow" in found.summary


def test_who_knows_no_newer_fields_reads_what_says_nothing_in_them(service: Service) -> None:
    study = service.submit(search=SEARCH)
    service.work(4)
    front = service.get(f"/v1/studies/{study}/front")
    assert not {"checked", "trust", "age_seconds"} & front.keys()
    assert "age_seconds" not in service.get(f"/v1/studies/{study}/calibration")


def _finish(service: Service, measure: Callable[[Any], float | None] = score) -> None:
    """Work until the planning finds nothing more to do."""
    while service.work(measure=measure):
        service.sweep()


def _extended(service: Service, study: str, **by: Any) -> None:
    answer = service.post(f"/v1/studies/{study}/extend", by)
    assert answer.status_code == 200, answer.text


@SEARCHED
def test_what_was_found_stays_as_it_was_judged_until_an_extended_study_has_looked_again(
    service: Service,
) -> None:
    study = service.only_study()
    promised = _front(service, study).cheapest
    assert promised is not None

    def measure(lease: Any) -> float:
        is_cheap = lease["purpose"] == "verify" and price(lease) <= promised.parameters
        return score(lease) - 0.3 * is_cheap

    _finish(service, measure)
    before = _front(service, study).checked
    (refuted,) = [one for one in before if one.finding is Finding.REFUTED]
    assert len(before) == 2
    _extended(service, study, trials=2, seeds=5)
    kept = tuple(map(plain_checked, before))  # in the form that the version before reads
    assert _front(service, study).checked == kept
    service.work(2, measure=measure)
    service.sweep()
    service.work(3, measure=measure)
    assert service.get(f"/v1/studies/{study}")["state"] == "verifying"
    begun = _front(service, study)
    assert begun.checked == kept
    assert f"Refuted: that the vector of {refuted.parameters:,} parameters" in begun.summary
    _finish(service, measure)
    after = _front(service, study).checked
    verdict = service.get(f"/v1/studies/{study}/verdict")
    assert after[0].comparison.gain == verdict["versus_uniform"]["gain"]
    assert after[0].comparison.seeds >= 5
    assert refuted.rank_vector in {one.rank_vector for one in after}


def test_an_extended_study_is_not_shown_a_front_of_its_first_search(dear: Service) -> None:
    study = dear.submit()
    dear.work(5)
    dear.sweep()
    assert len(_front(dear, study).tried) == 5
    _finish(dear)
    _extended(dear, study, trials=2)
    found = _front(dear, study)
    assert (len(found.tried), found.age_seconds) == (7, 0.0)
    assert found.checked
