"""Who breaks every trial, or reports what cannot be, gets no more of them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rankspace import Measurement
from rankspace.errors import Quarantined
from rankspace.lease import PROTOCOL, Claim
from service.leases.plausibility import Bounds, ImplausibleMeasurement
from service.workers.history import Record, chance
from service.workers.quarantine import UNLIKELY
from tests.unit.service.driver import (
    ANYBODY,
    ON_BOTH,
    Service,
    holding,
    measurement,
    model,
    outcome,
    start,
)
from tests.unit.service.telemetry.scraping import scrape

pytestmark = pytest.mark.slow

SEARCH = {
    "ranks": [0, 1, 2, 4, 8],
    "budget": {"parameters": "uniform:2", "trials": 30},
    "trial": {"steps": 10},
    "strategy": "random",
}


def _ask(service: Service, worker: str, headers: Any = None) -> Any:
    body = {"worker": worker, "protocol": 1}
    return service.client.post("/v1/leases", json=body, headers=headers or service.key("worker"))


def _fail(service: Service, worker: str, times: int = 1) -> None:
    for _ in range(times):
        lease = _ask(service, worker).json()
        assert service.report(lease, None, worker=worker).json() == {"status": "accepted"}


def _succeed(service: Service, worker: str) -> None:
    assert service.report(_ask(service, worker).json(), -2.0, worker=worker).status_code == 200


def _reason(service: Service, worker: str) -> str | None:
    items = service.get("/v1/workers")["items"]
    found: dict[str, str | None] = {one["name"]: one["quarantine_reason"] for one in items}
    return found[worker]


def _reason_if_known(service: Service, worker: str) -> str | None:
    is_known = any(one["name"] == worker for one in service.get("/v1/workers")["items"])
    return _reason(service, worker) if is_known else None


def _events(service: Service, study: str) -> list[Any]:
    items = service.get(f"/v1/studies/{study}/events?limit=1000")["items"]
    return [one["content"] for one in items if one["kind"] == "quarantined"]


# Failures


@ON_BOTH
def test_failures_where_another_succeeds_are_soon_too_many(service: Service) -> None:
    study = service.submit(search=SEARCH)
    for _ in range(5):
        _fail(service, "bad")
        _succeed(service, "good")
    assert _reason(service, "bad") is None
    _fail(service, "bad", 2)
    refused = _ask(service, "bad")
    assert (refused.status_code, refused.json()["error"]) == (403, "Quarantined")
    assert "7 trials in a row failed here" in refused.json()["detail"]
    assert f"of study {study}" in refused.json()["detail"]
    assert "the loss is NaN" not in f"{refused.text} {_reason(service, 'bad')}"
    assert refused.json()["hint"].endswith("rankadaptor workers reinstate bad")
    assert _events(service, study) == [{"worker": "bad", "reason": _reason(service, "bad")}]
    _succeed(service, "good")


def test_among_many_healthy_workers_four_failures_are_too_many(service: Service) -> None:
    search = {**SEARCH, "budget": {"parameters": "uniform:2", "trials": 60}}
    service.submit(search=search)
    failures = 0
    while _reason_if_known(service, "bad") is None:
        _fail(service, "bad")
        failures += 1
        for number in range(9):
            _succeed(service, f"good {number}")
    assert failures in (3, 4)


def test_bad_luck_is_what_others_have_too() -> None:
    """Seven failures in a row are soon too many where others succeed, and none where they fail."""
    assert chance([Record(7, failed=0, done=10)]) < UNLIKELY
    assert chance([Record(7, failed=10, done=10)]) > UNLIKELY
    assert chance([Record(2, 1, 3), Record(1, 0, 1)]) == pytest.approx(2 / 6 * 3 / 7 * 1 / 3)


def test_half_of_the_workers_are_left(service: Service) -> None:
    """Whatever is wrong with most of them, it is no matter of single machines."""
    service.submit(search={**SEARCH, "budget": {"parameters": "uniform:2", "trials": 200}})
    bad = ["bad 1", "bad 2", "bad 3"]
    for _ in range(12):
        for worker in bad:
            if _ask(service, worker).status_code == 201:
                _fail(service, worker)
        for _ in range(3):
            _succeed(service, "good")
    assert sum(_reason(service, worker) is not None for worker in bad) == 2


def test_success_before_the_first_failure_proves_nothing(service: Service) -> None:
    service.submit(search=SEARCH)
    _succeed(service, "good")
    _fail(service, "unlucky", 4)
    assert _reason(service, "unlucky") is None


def test_a_study_that_nobody_can_run_puts_nobody_in_quarantine(service: Service) -> None:
    service.submit(search=SEARCH)
    for _ in range(5):
        for worker in ("a", "b"):
            if (lease := service.claim(worker)) is not None:
                service.report(lease, None, worker=worker)
    assert {_reason(service, worker) for worker in ("a", "b")} == {None}


def test_failures_of_such_a_study_do_not_add_to_others(service: Service) -> None:
    """Strikes of a poisoned study and of a good one, where another succeeds, are not added."""
    poisoned = service.submit(search=SEARCH)
    _fail(service, "w", 2)
    service.post(f"/v1/studies/{poisoned}/pause")
    service.submit(search=SEARCH)
    for _ in range(16):
        _succeed(service, "good")
    _fail(service, "w", 2)
    assert _reason(service, "w") is None
    _fail(service, "w")
    assert "3 trials" in str(_reason(service, "w"))


def test_a_worker_that_is_alone_goes_on(service: Service) -> None:
    service.submit(search=SEARCH)
    _succeed(service, "lone")
    _fail(service, "lone", 4)
    _succeed(service, "lone")
    _fail(service, "lone", 4)
    assert _reason(service, "lone") is None


def test_a_good_result_ends_the_row(service: Service) -> None:
    service.submit(search=SEARCH)
    for _ in range(2):
        _fail(service, "w", 2)
        for _ in range(8):
            _succeed(service, "good")
        _succeed(service, "w")
    assert _reason(service, "w") is None


# Plausibility


def _report(service: Service, lease: Any, worker: str = "w1", **changes: Any) -> Any:
    body = {**outcome(lease, -2.0), "worker": worker}
    body["measurement"] = {**measurement(-2.0, lease), **changes}
    return service.post(f"/v1/leases/{lease['trial_id']}/report", body, "worker")


COUNTS = {
    **{"rows": 50, "dropped": 10, "cut": 5, "repeats": 3},
    **{"train": 30, "selection": 5, "final": 5},
    **{"row_tokens": 300, "example_tokens": 256, "positions": 512},
}

NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"parameters": 1}, "measurement.parameters"),
    ({"steps": 11}, "measurement.steps"),
    ({"steps": -1}, "measurement.steps"),
    ({"seconds": {"train": 3600.0}}, "measurement.seconds.train"),
    ({"seconds": {"train": -1.0}}, "measurement.seconds.train"),
    ({"seconds": {"load": 1e308}}, "measurement.seconds.load"),
    ({"seconds": {"train": 0.1, "evaluate": -0.1}}, "measurement.seconds.evaluate"),
    ({"seconds": {str(n): 0.1 for n in range(21)}}, "measurement.seconds"),
    ({"seconds": {"x" * 201: 0.1}}, "measurement.seconds"),
    ({"versions": {"torch": "x" * 201}}, "measurement.versions"),
    ({"versions": {str(n): "1" for n in range(51)}}, "measurement.versions"),
    ({"score": 1e200}, "measurement.score"),
    ({"score": -2.1}, "measurement.score"),
    ({"score": -1e200, "loss": 1e200}, "measurement.loss"),
    ({"score": 1e200, "loss": -1e200}, "measurement.loss"),
    ({"score": 0.5, "loss": -0.5}, "measurement.loss"),
    ({"train_loss": 1e308}, "measurement.train_loss"),
    ({"train_loss": -1.0}, "measurement.train_loss"),
    ({"tokens": -1}, "measurement.tokens"),
    ({"peak_bytes": -5}, "measurement.peak_bytes"),
    *(
        ({"data": {**COUNTS, name: value}}, f"measurement.data.{field}")
        for name, value, field in (
            ("cut", -1, "cut"),
            ("row_tokens", 2**31 + 1, "row_tokens"),
            ("rows", 51, "rows"),
            ("train", 29, "rows"),
            ("dropped", 11, "rows"),
            ("cut", 41, "cut"),
            ("repeats", 41, "repeats"),
            ("empty", 51, "empty"),
            ("control", -1, "control"),
            ("tokens", 2**31 + 1, "tokens"),
        )
    ),
]


@pytest.fixture(scope="module")
def told(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that is told all the nonsense, trial by trial of one study."""
    running = start(Path(shutil.copytree(migrated, tmp_path_factory.mktemp("told") / "data")))
    with running.client:
        running.submit(search={**SEARCH, "budget": {"parameters": "uniform:2", "trials": 60}})
        yield running


@pytest.mark.parametrize(("changes", "field"), NONSENSE)
def test_what_cannot_be_is_refused_and_the_trial_stays(
    told: Service, changes: dict[str, Any], field: str
) -> None:
    service, study = told, told.only_study()
    lease = service.claim()
    refused = _report(service, lease, **changes)
    assert (refused.status_code, refused.json()["error"]) == (422, "InvalidInput")
    assert refused.json()["detail"].startswith(f"{field} = ")
    assert refused.json()["hint"]
    trials = service.get(f"/v1/studies/{study}/trials?limit=1000")["items"]
    (trial,) = [one for one in trials if one["id"] == lease["trial_id"]]
    assert (trial["state"], trial["worker"], trial["token"]) == ("running", "w1", 1)
    assert service.claim() == lease
    assert _report(service, lease).json() == {"status": "accepted"}
    assert _report(service, lease, **changes).json() == {"status": "duplicate"}


def test_counts_of_the_data_that_add_up_are_taken(service: Service) -> None:
    service.submit(search=SEARCH)
    assert _report(service, service.claim(), data=COUNTS).json() == {"status": "accepted"}


def _release(service: Service, lease: Any, worker: str = "w1") -> None:
    body = holding(lease, worker=worker)
    assert service.post(f"/v1/leases/{lease['trial_id']}/release", body, "worker").is_success


def _talk_nonsense(service: Service, times: int, worker: str = "w1", **what: Any) -> None:
    """Report what cannot be, claim by claim; the trials go back."""
    for _ in range(times):
        lease = service.claim(worker)
        refused = _report(service, lease, worker, **(what or {"steps": 11}))
        assert refused.status_code == 422
        _release(service, lease, worker)


def test_an_implausible_report_sent_again_counts_once(service: Service) -> None:
    """Its answer may have been lost."""
    service.submit(search=SEARCH)
    _succeed(service, "good")
    lease = service.claim()
    for _ in range(3):
        assert _report(service, lease, steps=11).status_code == 422
    assert _reason(service, "w1") is None
    assert _report(service, lease).json() == {"status": "accepted"}


def test_a_database_s_clock_that_runs_slow_puts_nobody_in_quarantine(service: Service) -> None:
    """All of them have trained for 50 seconds; the database saw a moment go by."""
    service.submit(search=SEARCH)
    workers = ("a", "b", "c")
    for worker in workers:
        _succeed(service, worker)
    for worker in (*workers, *workers, *workers):
        _talk_nonsense(service, 1, worker, seconds={"train": 50.0})
    assert {_reason(service, worker) for worker in workers} == {None}


@ON_BOTH
def test_a_worker_s_clock_that_runs_fast_is_found_out(service: Service) -> None:
    service.submit(search=SEARCH)
    for _ in range(3):
        lease = service.claim()
        _succeed(service, "good")  # meanwhile, so the database's clock is right
        _report(service, lease, seconds={"train": 50.0})
        _release(service, lease)
    assert "seconds.train" in str(_reason(service, "w1"))


def test_the_third_implausible_report_in_a_row_is_the_last(service: Service) -> None:
    study = service.submit(search=SEARCH)
    _talk_nonsense(service, 2)
    _report(service, service.claim())  # a good one in between
    _talk_nonsense(service, 2)
    assert _reason(service, "w1") is None
    lease = service.claim()
    _succeed(service, "good")
    _report(service, lease, seconds={"train": 1e6})
    where = f"measurement.seconds.train of trial {lease['trial_id']} of study {study}"
    assert where in str(_reason(service, "w1"))
    assert "1000000" not in str(_reason(service, "w1"))
    assert len(_events(service, study)) == 1
    assert service.claim() == lease  # it may finish what it holds
    assert _report(service, lease).json() == {"status": "accepted"}
    assert _ask(service, "w1").status_code == 403


def test_a_stale_report_is_stale_whatever_it_says(service: Service) -> None:
    service.submit(search=SEARCH)
    lease = service.claim()
    _release(service, lease)
    service.claim("w2")
    assert [_report(service, lease, steps=11).status_code for _ in range(4)] == [409] * 4
    assert _reason(service, "w1") is None


def test_a_wrong_description_of_a_model_puts_nobody_in_quarantine(service: Service) -> None:
    service.submit(search=SEARCH)
    _talk_nonsense(service, 4, parameters=1)
    assert _reason(service, "w1") is None
    _succeed(service, "w2")  # so the description is right
    _talk_nonsense(service, 3, parameters=1)
    assert "measurement.parameters" in str(_reason(service, "w1"))


def test_a_worker_that_reports_absurd_scores_ends_in_quarantine_and_not_the_study(
    service: Service,
) -> None:
    study = service.submit(search=SEARCH)
    _succeed(service, "good")
    _talk_nonsense(service, 3, "bad", score=1e200)
    assert "measurement.score" in str(_reason(service, "bad"))
    assert [service.report(service.claim(), -2.0).status_code for _ in range(8)] == [200] * 8
    assert service.get(f"/v1/studies/{study}")["state"] == "searching"


def test_a_recipe_that_diverges_puts_nobody_in_quarantine(service: Service) -> None:
    """Workers of before report such a loss; those of today fail the trial."""
    service.submit(search=SEARCH)
    _talk_nonsense(service, 4, loss=1e7, score=-1e7)
    assert _reason(service, "w1") is None
    _succeed(service, "w2")
    _talk_nonsense(service, 3, loss=1e7, score=-1e7)
    assert "measurement.loss" in str(_reason(service, "w1"))


@pytest.mark.parametrize("loss", [0.0, -1e-7, 1e-12, 0.1 + 0.2, 12.5, 9.9e5])
def test_every_loss_that_can_be_is_taken(loss: float) -> None:
    score = float(f"{-loss:.9g}")  # as another codec may round it
    Bounds(64, 10, 10.0).check(Measurement(score, loss, loss, 10, 1, 64, {"train": 1.0}))


def _measured(seconds: float, steps: int = 10) -> Measurement:
    return Measurement(-1.0, 1.0, 1.0, steps, 1, 64, {"train": seconds})


def test_clocks_that_differ_a_little_are_forgiven() -> None:
    for held, train in [(0.0, 9.9), (100.0, 110.9), (36_000.0, 36_369.0), (10.0, 0.0)]:
        Bounds(64, 10, held).check(_measured(train))
    for held, train in [(0.0, 10.1), (100.0, 111.1), (10.0, float("nan"))]:
        with pytest.raises(ImplausibleMeasurement, match=r"seconds\.train"):
            Bounds(64, 10, held).check(_measured(train))


def test_whole_epochs_have_as_many_steps_as_the_worker_counts() -> None:
    Bounds(64, 0, 10.0).check(_measured(1.0, steps=10**6))


# By hand


def _hand(service: Service, verb: str, worker: str, headers: Any = None, **body: Any) -> Any:
    path, sent = f"/v1/workers/{worker}/{verb}", headers or service.key("admin")
    return service.client.post(path, json=body or None, headers=sent)


def test_a_worker_in_quarantine_finishes_its_trial_and_gets_no_other(service: Service) -> None:
    service.submit(search=SEARCH)
    lease = service.claim("w1")
    answers = [_hand(service, "quarantine", "w1", reason=f"fan {n}") for n in (1, 1, 2)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.json()["quarantined_at"] for answer in answers}) == 1
    assert answers[-1].json()["quarantine_reason"] == "fan 2"
    assert service.claim("w1") == lease
    assert service.report(lease, -2.0).json() == {"status": "accepted"}
    refused = _ask(service, "w1")
    assert refused.json()["detail"] == "worker 'w1' is in quarantine: fan 2"
    for _ in range(2):
        assert _hand(service, "reinstate", "w1").json()["quarantined_at"] is None
    assert _ask(service, "w1").status_code == 201
    entries = [(e["route"], e["object"]) for e in service.get("/v1/audit")["items"]]
    assert entries.count(("/v1/workers/{worker}/quarantine", "w1")) == 3
    assert entries.count(("/v1/workers/{worker}/reinstate", "w1")) == 2


def test_reinstatement_forgets_what_was_held_against_it(service: Service) -> None:
    service.submit(search=SEARCH)
    _fail(service, "w1", 2)
    for _ in range(16):
        _succeed(service, "good")
    _hand(service, "reinstate", "w1")
    _fail(service, "w1", 2)
    assert _reason(service, "w1") is None


def test_it_is_refused_while_it_waits_for_work(service: Service) -> None:
    assert _ask(service, "w1").status_code == 204
    _hand(service, "quarantine", "w1", reason="noisy")
    assert _ask(service, "w1").status_code == 403
    service.submit(search=SEARCH)
    with pytest.raises(Quarantined, match="noisy"):  # what a claim that waits comes to
        service.app.state.runtime.leases.claim(Claim("w1", PROTOCOL), ANYBODY)


@ON_BOTH
def test_it_counts_as_quarantined_and_not_as_active(service: Service) -> None:
    study = service.submit(search=SEARCH)
    for worker in ("w1", "w2"):
        _ask(service, worker)
    _hand(service, "quarantine", "w1", reason="noisy")
    assert service.get(f"/v1/studies/{study}")["workers_active"] == 1
    text = scrape(service).text
    assert "rankadaptor_workers_quarantined 1.0" in text
    assert "rankadaptor_workers_active 1.0" in text


@pytest.mark.parametrize("reason", ["", "x" * 501, "a\nb", None])
def test_a_reason_is_asked_for(service: Service, reason: str | None) -> None:
    _ask(service, "w1")
    assert _hand(service, "quarantine", "w1", reason=reason).status_code == 422


def test_an_admin_of_a_project_has_power_over_its_own_workers_only(service: Service) -> None:
    admin, key = service.issue("admin", "ours"), service.issue("worker", "ours")
    theirs = service.issue("worker", "theirs")
    service.client.post("/v1/models?project=ours", json=model(), headers=service.key("admin"))
    service.submit("ours", search=SEARCH)
    _ask(service, "ours-1", key)
    _ask(service, "theirs-1", theirs)
    _ask(service, "both", key)
    _ask(service, "both")
    _ask(service, "fleet")  # with the key of all projects; works for ours, too

    def codes(worker: str) -> list[int]:
        return [
            _hand(service, "quarantine", worker, admin, reason="mine").status_code,
            _hand(service, "reinstate", worker, admin).status_code,
        ]

    assert codes("ours-1") == [200, 200]
    assert codes("theirs-1") == codes("nobody") == [404, 404]
    assert codes("fleet") == codes("both") == [403, 403]
    _ask(service, "fleet", key)  # taking its name does not make it ours
    assert codes("fleet") == [403, 403]
