"""Who cannot open a study's files works for others; a study that nobody can open pauses."""

from typing import Any

from sqlalchemy import update

from service.storage.tables import BarRow
from service.workers.bars import TRIES
from tests.unit.service.driver import ON_BOTH, Service, holding, score

REASON = "recipe.data.train = '/absent': cannot be read; put it where this worker can open it"


def _give_back(service: Service, lease: Any, worker: str, reason: str | None = REASON) -> None:
    path = f"/v1/leases/{lease['trial_id']}/release"
    body = {**holding(lease), "worker": worker, "reason": reason}
    assert service.post(path, body, "worker").status_code == 204


def _let_bars_end(service: Service) -> None:
    with service.app.state.runtime.database.writing() as session:
        session.execute(update(BarRow).values(until=0.0))


def _try(service: Service, worker: str) -> None:
    _let_bars_end(service)
    lease = service.claim(worker)
    assert lease is not None
    _give_back(service, lease, worker)


def _view(service: Service, study: str) -> Any:
    return service.get(f"/v1/studies/{study}")


def test_a_worker_that_cannot_open_one_study_gets_trials_of_the_others(service: Service) -> None:
    closed, sound = service.submit(name="closed"), service.submit(name="sound")
    lease = service.claim("w1")
    assert lease["study_id"] == closed
    _give_back(service, lease, "w1")
    _give_back(service, lease, "w1")  # the answer got lost
    for _ in range(3):
        lease = service.claim("w1")
        assert lease["study_id"] == sound
        service.report(lease, score(lease), worker="w1")
    (barred,) = _view(service, closed)["barred"]
    assert (barred["worker"], barred["tries"], barred["reason"]) == ("w1", 1, REASON)
    assert barred["until"] is not None
    assert (_view(service, closed)["state"], _view(service, sound)["barred"]) == ("searching", [])
    assert service.claim("w2")["study_id"] == closed


@ON_BOTH
def test_a_study_that_its_only_worker_cannot_open_pauses_and_says_why(service: Service) -> None:
    study = service.submit()
    for number in range(TRIES):
        assert _view(service, study)["state"] == "searching", number
        _try(service, "w1")
    view = _view(service, study)
    assert (view["state"], view["stage"]) == ("paused", "searching")
    assert REASON in view["error"]
    assert "w1" in view["error"]
    _let_bars_end(service)
    assert service.claim("w1") is None


def test_resuming_lets_everybody_try_at_once(service: Service) -> None:
    study = service.submit()
    for _ in range(TRIES):
        _try(service, "w1")
    service.post(f"/v1/studies/{study}/resume")
    view = _view(service, study)
    assert (view["state"], view["error"], view["barred"]) == ("searching", None, [])
    lease = service.claim("w1")
    assert lease["study_id"] == study
    _give_back(service, lease, "w1")
    assert service.claim("w1") is None
    service.post(f"/v1/studies/{study}/resume")  # it goes on, but for this worker
    assert service.claim("w1")["study_id"] == study


def test_reinstating_a_worker_lets_it_try_at_once(service: Service) -> None:
    study = service.submit()
    _give_back(service, service.claim("w1"), "w1")
    service.post("/v1/workers/w1/reinstate")
    assert service.claim("w1")["study_id"] == study


def test_a_bad_worker_does_not_pause_what_others_can_open(service: Service) -> None:
    """Though it tries again and again, and others have not tried at all."""
    study = service.submit()
    held = service.claim("good")
    for _ in range(2 * TRIES):
        _try(service, "bad")
    assert _view(service, study)["state"] == "searching"
    service.report(held, score(held), worker="good")
    _try(service, "bad")
    assert _view(service, study)["state"] == "searching"


@ON_BOTH
def test_most_of_the_workers_that_are_there_pause_a_study(service: Service) -> None:
    """The one that is left has opened none of its trials."""
    busy = service.submit(name="busy")
    assert service.claim("idle")["study_id"] == busy
    service.post(f"/v1/studies/{busy}/pause")
    study = service.submit()
    _try(service, "w1")
    _try(service, "w2")
    assert _view(service, study)["state"] == "searching"
    _try(service, "w3")
    assert _view(service, study)["state"] == "paused"


def test_a_good_result_ends_the_bar(service: Service) -> None:
    study = service.submit()
    _try(service, "w1")
    _let_bars_end(service)
    lease = service.claim("w1")
    service.report(lease, score(lease), worker="w1")
    assert _view(service, study)["barred"] == []


def test_a_trial_given_back_without_a_reason_comes_again(service: Service) -> None:
    study = service.submit()
    lease = service.claim("w1")
    _give_back(service, lease, "w1", None)
    assert service.claim("w1")["study_id"] == study
    assert _view(service, study)["barred"] == []
