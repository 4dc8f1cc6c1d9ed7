"""Racing over the lease protocol: who is told to stop, and who never is."""

from typing import Any

import pytest

from perfmodel.evidence.racing import spared
from service.leases import racing
from service.storage.tables import TrialRow
from service.studies.repository import Studies
from tests.unit.service.driver import Service, holding, measurement, outcome, score

pytestmark = pytest.mark.slow

STEPS = 40
SEARCH = {
    "ranks": [0, 1, 2, 4, 8],
    "budget": {"parameters": "uniform:2", "trials": 30},
    "trial": {"steps": STEPS, "stop_risk": 0.02},
}
FIRST = spared(30, 12)


def interim(loss: float, until: int = STEPS) -> list[list[float]]:
    """Losses that fall towards ``loss`` on batches all trials share."""
    return [[step, loss + 1.0 / step + 0.3 * (step % 7)] for step in range(2, until + 1, 2)]


def heartbeat(service: Service, lease: Any, loss: float, until: int) -> str:
    body = {**holding(lease), "interim": interim(loss, until)}
    answer = service.post(f"/v1/leases/{lease['trial_id']}/heartbeat", body, "worker")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["action"])


def run(service: Service, lease: Any, steps: int = STEPS, extra: float = 0.0) -> None:
    """Report a trial whose interim losses announced its score."""
    value = score(lease) + extra
    heartbeat(service, lease, -value, steps)
    body = {**outcome(lease, value), "measurement": {**measurement(value, lease), "steps": steps}}
    path = f"/v1/leases/{lease['trial_id']}/report"
    assert service.post(path, body, "worker").json() == {"status": "accepted"}


def begun(service: Service, trials: int = FIRST, **trial: Any) -> str:
    """A study whose first trials ran to their end."""
    study = service.submit(search={**SEARCH, "trial": {**SEARCH["trial"], **trial}})  # type: ignore[dict-item]
    for _ in range(trials):
        run(service, service.claim())
    return study


def test_a_hopeless_trial_is_told_to_stop_and_the_history_says_why(service: Service) -> None:
    study = begun(service)
    lease = service.claim()
    assert heartbeat(service, lease, 9.0, 10) == "continue"  # before the first look
    assert heartbeat(service, lease, 9.0, 12) == "stop"
    assert heartbeat(service, lease, 9.0, 12) == "stop"  # the answer may have been lost
    events = service.get(f"/v1/studies/{study}/events?limit=1000")["items"]
    (stopped,) = [event for event in events if event["kind"] == "stopped"]
    assert (stopped["trial"], stopped["content"]["step"]) == (lease["trial_id"], 12)
    assert 0 <= stopped["content"]["probability"] < 0.02
    assert "above the best score" in stopped["content"]["reason"]


def test_two_services_that_come_to_the_same_say_it_once(service: Service) -> None:
    study = begun(service)
    lease = service.claim()
    assert heartbeat(service, lease, 9.0, 12) == "stop"
    racing._race.cache_clear()  # as another one, which has not decided yet
    assert heartbeat(service, lease, 9.0, 12) == "stop"
    events = service.get(f"/v1/studies/{study}/events?limit=1000")["items"]
    assert sum(event["kind"] == "stopped" for event in events) == 1


def test_a_stop_of_which_the_history_could_not_be_told_is_told_later(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = begun(service)
    lease = service.claim()
    with monkeypatch.context() as broken:
        broken.setattr(Studies, "lock", _busy)
        with pytest.raises(TimeoutError):
            heartbeat(service, lease, 9.0, 12)
    assert heartbeat(service, lease, 9.0, 12) == "stop"
    events = service.get(f"/v1/studies/{study}/events?limit=1000")["items"]
    assert sum(event["kind"] == "stopped" for event in events) == 1


def _busy(_studies: Studies, _study: str) -> None:
    raise TimeoutError


def test_the_page_says_which_trials_were_stopped(service: Service) -> None:
    study = begun(service)
    run(service, service.claim(), steps=12)
    code = service.post("/v1/login-codes").json()["code"]
    service.client.post("/login", data={"code": code})
    page = service.client.get(f"/studies/{study}/trials").text
    assert page.count("Stopped after 12 of 40 steps.") == 1
    assert page.count("Stopped after") == 1


def test_a_promising_trial_goes_on_to_its_end(service: Service) -> None:
    begun(service)
    lease = service.claim()
    assert [heartbeat(service, lease, 2.0, until) for until in (12, 20, 28, 40)] == ["continue"] * 4


def test_without_a_stated_risk_nobody_is_stopped(service: Service) -> None:
    begun(service, stop_risk=0.0)
    assert heartbeat(service, service.claim(), 9.0, 28) == "continue"


def test_the_first_trials_are_never_stopped(service: Service) -> None:
    """Trials that finish out of order do not make the design stoppable."""
    service.submit(search=SEARCH)
    early = service.claim("slow")
    for _ in range(FIRST + 2):
        run(service, service.claim())
    body = {**holding(early, worker="slow"), "interim": interim(9.0, 28)}
    path = f"/v1/leases/{early['trial_id']}/heartbeat"
    assert service.post(path, body, "worker").json()["action"] == "continue"


def test_a_persons_candidate_is_never_stopped(service: Service) -> None:
    study = begun(service)
    ranks = [8, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]
    answer = service.post(f"/v1/studies/{study}/trials", {"rank_vector": ranks})
    lease = service.claim()
    assert (lease["trial_id"], lease["seed"]) == (answer.json()["id"], 0)
    assert heartbeat(service, lease, 9.0, 28) == "continue"


def test_a_repeat_on_another_seed_is_never_stopped(service: Service) -> None:
    """Its batches are others, so its losses compare with nobody's."""
    begun(service)
    lease = service.claim()
    with service.app.state.runtime.database.writing() as session:
        session.get_one(TrialRow, lease["trial_id"]).seed = 1
    assert heartbeat(service, lease, 9.0, 28) == "continue"


def test_verification_is_never_stopped(service: Service) -> None:
    begun(service, trials=30)
    lease = service.claim()
    assert lease["purpose"] == "verify"
    assert heartbeat(service, lease, 9.0, 28) == "continue"


def test_stopped_trials_are_no_measure_for_others(service: Service) -> None:
    """Their scores are of another number of steps; without the others there are too few."""
    service.submit(search=SEARCH)
    for _ in range(FIRST + 4):
        run(service, service.claim(), steps=STEPS - 2)
    assert heartbeat(service, service.claim(), 9.0, 28) == "continue"


def test_after_a_restart_the_same_is_said(service: Service) -> None:
    begun(service)
    lease = service.claim()
    racing._race.cache_clear()
    assert heartbeat(service, lease, 9.0, 12) == "stop"


def test_the_best_trial_counts_however_long_ago_it_ran(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(racing, "NEWEST", 10)
    study = service.submit(search=SEARCH)
    for index in range(FIRST + 6):
        run(service, service.claim(), extra=0.5 * (index == 1))
    racing._race.cache_clear()
    with service.app.state.runtime.database.reading() as session:
        race, rules = racing._race(study), racing._rules(session, study)
        racing._catch_up(session, race, rules, study)
    trials = service.get(f"/v1/studies/{study}/trials")["items"]
    assert race.best is not None
    assert race.best.score == max(trial["score"] for trial in trials if trial["score"] is not None)
    assert race.watermark == FIRST + 6


@pytest.mark.parametrize("risk", [-0.1, 0.6, "high"])
def test_a_senseless_risk_is_refused(service: Service, risk: object) -> None:
    search = {**SEARCH, "trial": {"steps": 10, "stop_risk": risk}}
    body = {"name": "x", "model": "m", "recipe": {"data": {"train": "t"}}, "search": search}
    answer = service.post("/v1/studies", body)
    assert answer.status_code == 422
    assert "search.trial.stop_risk" in answer.json()["detail"]
