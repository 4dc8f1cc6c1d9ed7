"""Calibration, front and noise over REST: what they say at each stage of a study."""

import math

import pytest

from rankadaptor.client import Client
from rankspace.calibration import Calibration, Noise, Trust
from rankspace.errors import NotFound
from rankspace.front import Front
from rankspace.wire import decode
from service.insights.knowledge import knowledge
from service.planning.study_results import ModelSnapshot, StudyResults
from tests.unit.service.driver import ON_BOTH, Service, measurement, outcome

pytestmark = pytest.mark.slow

SEARCH = {
    "ranks": [0, 1, 2, 4, 8],
    "budget": {"parameters": "uniform:2", "trials": 24},
    "trial": {"steps": 10},
}


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
def test_predictions_are_judged_as_they_stood_when_the_trial_was_claimed(
    service: Service,
) -> None:
    study = service.submit(search=SEARCH)
    service.work(24)
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
    for point in found.points:
        trial = trials[point.trial]
        assert (point.mean, point.score) == (trial["mean"], trial["score"])
        assert math.isclose(point.std, math.hypot(trial["std"], found.noise.sd))
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
def test_the_front_holds_what_nothing_beats_and_the_verdict_s_cheapest(service: Service) -> None:
    study = service.submit(search=SEARCH)
    service.work(24)
    found = decode(Front, service.get(f"/v1/studies/{study}/front"))
    parameters = [point.parameters for point in found.points]
    means = [point.mean for point in found.points]
    assert parameters == sorted(set(parameters))
    assert means == sorted(set(means))
    assert found.uniform.rank_vector.ranks == (2,) * 12
    assert [point.rank_vector.ranks[0] for point in found.uniforms] == [0, 1, 2]
    assert found.verified is None
    service.work()
    verdict = service.get(f"/v1/studies/{study}/verdict")
    verified = decode(Front, service.get(f"/v1/studies/{study}/front")).verified
    if verdict["versus_uniform_cheapest"] is None:
        assert verified is None
    else:
        assert verified is not None
        assert list(verified.rank_vector.ranks) == verdict["cheapest_rank_vector"]["ranks"]


def test_the_noise_lies_in_its_interval_and_says_what_it_rests_on(service: Service) -> None:
    study = service.submit(search=SEARCH)
    service.work(24)
    found = decode(Noise, service.get(f"/v1/studies/{study}/noise"))
    assert 0.0 < found.low < found.sd < found.high
    assert "24 scores" in found.source


def test_the_python_client_reads_all_three(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = service.submit(search=SEARCH)
    service.work(12)
    service.client.headers.update(service.key("admin"))
    with Client("http://testserver", "unused") as client:
        client.close()
        monkeypatch.setattr(client, "_http", service.client)
        assert client.calibration(study).noise == client.noise(study)
        assert client.front(study).uniform.rank_vector.ranks == (2,) * 12
        with pytest.raises(NotFound):
            client.front("st_none")


def test_insights_wait_for_the_planning_instead_of_learning_a_study_twice(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = service.submit()
    service.work(2)
    planning, not_yet = service.app.state.runtime.planning, [True, True]

    def planned(study: str) -> ModelSnapshot | None:
        known: ModelSnapshot | None = planning.known(study)
        return None if not_yet and not_yet.pop() else known

    monkeypatch.setattr(StudyResults, "open", None)
    with service.app.state.runtime.database.reading() as session:
        assert len(knowledge(session, study, planned).observations) == 2
    assert not not_yet
