"""What is counted, what it is called, and that looking costs little."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import event, text
from starlette.testclient import TestClient

from rankspace import Purpose, TrialState
from service.telemetry import gauges
from service.telemetry.gauges import _STATES, _WAITING
from service.telemetry.metrics import Metrics
from service.telemetry.timing import RequestTimer
from tests.unit.service.driver import ON_BOTH, ON_SQLITE, Service, holding, start
from tests.unit.service.telemetry.scraping import scrape


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every scrape look; one test below takes that back."""
    monkeypatch.setattr(gauges, "FRESH_SECONDS", 0.0)


@pytest.fixture
def open_service(directory: Path) -> Iterator[Service]:
    running = start(directory, metrics_open=True)
    with running.client:
        yield running


def test_without_a_key_only_where_the_operator_opened_it(
    service: Service, open_service: Service
) -> None:
    assert service.client.get("/metrics").status_code == 401
    assert service.client.get("/metrics", headers=service.key("worker")).status_code == 403
    assert open_service.client.get("/metrics").status_code == 200


def test_an_admin_of_one_project_does_not_read_everybody_s_counts(service: Service) -> None:
    refused = service.client.get("/metrics", headers=service.issue("admin", "ours"))
    assert (refused.status_code, "all projects" in refused.json()["hint"]) == (403, True)


def test_reports_are_counted_by_what_became_of_them(service: Service) -> None:
    service.submit()
    good = service.claim()
    service.report(good, -2.0)
    service.report(good, -2.0)
    service.report(service.claim(), None)
    taken = service.claim()
    service.post(f"/v1/leases/{taken['trial_id']}/release", holding(taken), "worker")
    assert service.report(taken | {"token": 7}, -2.0).status_code == 409
    seen = scrape(service)
    assert seen.value("accepted_report_total", outcome="done") == 1
    assert seen.value("accepted_report_total", outcome="failed") == 1
    assert seen.value("duplicate_report_total") == 1
    assert seen.value("stale_report_total") == 1
    assert seen.value("lease_expired_total") == 0


@ON_BOTH
def test_gpu_time_is_that_of_ended_attempts(service: Service) -> None:
    service.submit()
    first = service.claim()
    service.let_time_pass(1000.0)
    assert scrape(service).value("gpu_seconds_total", outcome="done") == 0
    service.report(first, -2.0)
    service.report(first, -2.0)
    second = service.claim()
    service.let_time_pass(500.0)
    for _ in range(2):  # the second time changes nothing
        service.post(f"/v1/leases/{second['trial_id']}/release", holding(second), "worker")
    seen = scrape(service)
    assert 1000.0 <= seen.value("gpu_seconds_total", outcome="done") < 1500.0
    assert 500.0 <= seen.value("gpu_seconds_total", outcome="released") < 1000.0
    assert seen.value("gpu_seconds_total", outcome="failed") == 0


def test_a_report_after_the_lease_ran_out_does_not_count_its_time_twice(service: Service) -> None:
    service.submit()
    late = service.claim()
    service.let_time_pass(1000.0)
    service.let_leases_run_out()
    service.sweep()
    assert scrape(service).value("lease_expired_total") == 1
    assert service.report(late, -2.0).json() == {"status": "accepted"}
    seen = scrape(service)
    expired = seen.value("gpu_seconds_total", outcome="expired")
    assert expired >= 1000.0
    assert expired + seen.value("gpu_seconds_total", outcome="done") < 2000.0


def test_every_lease_that_ran_out_is_counted(service: Service) -> None:
    service.submit()
    assert service.claim("w1")["trial_id"] != service.claim("w2")["trial_id"]
    service.let_leases_run_out()
    service.sweep()
    assert scrape(service).value("lease_expired_total") == 2


@ON_BOTH
def test_the_gauges_are_what_the_database_says(service: Service) -> None:
    study = service.submit()
    service.work(2)
    running = service.claim()
    candidate = {"rank_vector": [1] * 12}
    assert service.post(f"/v1/studies/{study}/trials", candidate).status_code == 201
    service.let_time_pass(1000.0)
    seen, trials = scrape(service), service.get(f"/v1/studies/{study}/trials")["items"]
    for state in TrialState:
        count = sum(trial["state"] == state.value for trial in trials)
        assert seen.value("trials_total", state=state.value) == count
    assert seen.value("trials_total", state="running") == 1
    waiting = [trial for trial in trials if trial["state"] == "queued"]
    depth = {dict(labels)["purpose"]: n for labels, n in seen.values("queue_depth").items()}
    assert set(depth) == {purpose.value for purpose in Purpose}
    assert sum(depth.values()) == len(waiting) > 0
    assert 1000.0 <= seen.value("oldest_queued_seconds") < 2000.0
    assert seen.value("workers_active") == 1
    assert service.report(running, -2.0).status_code == 200


@ON_BOTH
def test_trials_of_a_paused_study_do_not_wait_for_workers(service: Service) -> None:
    study = service.submit()
    assert scrape(service).value("queue_depth", purpose="search") > 0
    service.post(f"/v1/studies/{study}/pause")
    seen = scrape(service)
    assert sum(seen.values("queue_depth").values()) == 0
    assert seen.value("oldest_queued_seconds") == 0
    assert seen.value("trials_total", state="queued") > 0


def test_scrapes_in_quick_succession_read_the_database_once(
    open_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauges, "FRESH_SECONDS", 60.0)
    statements: list[str] = []
    engine = open_service.app.state.runtime.database.engine
    event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    for _ in range(20):
        scrape(open_service)
    assert len([sql for sql in statements if "FROM trials" in sql]) == 2


@ON_SQLITE
@pytest.mark.parametrize("statement", [_STATES, _WAITING], ids=["states", "waiting"])
def test_the_gauges_read_an_index_and_not_the_table(service: Service, statement: Any) -> None:
    database = service.app.state.runtime.database
    sql = statement.compile(database.engine, compile_kwargs={"literal_binds": True})
    with database.reading() as session:
        plan = [row[3] for row in session.execute(text(f"EXPLAIN QUERY PLAN {sql}"))]
    (trials,) = (step for step in plan if " trials" in step)
    assert "USING" in trials
    assert "INDEX ix_trials_state" in trials


def test_without_the_tables_the_counters_are_still_told(open_service: Service) -> None:
    open_service.submit()
    open_service.work(1)
    with open_service.app.state.runtime.database.writing() as session:
        session.execute(text("ALTER TABLE trials RENAME TO gone"))
    seen = scrape(open_service)
    assert seen.value("accepted_report_total", outcome="done") == 1
    assert seen.values("queue_depth") == {}


def test_requests_are_timed_by_template_never_by_path(service: Service) -> None:
    study = service.submit()
    assert service.claim("worker-with-a-name")
    for path in (
        f"/v1/studies/{study}",
        "/v1/studies/st_other",
        "/nowhere/nobody-home",
        "/static/no",
    ):
        service.client.get(path, headers=service.key("admin"))
    service.client.request("BREW", "/v1/studies")
    service.client.get("/livez", headers={"Host": "stranger"})
    seen = scrape(service)
    name = "http_request_seconds_count"
    described = set(service.client.get("/v1/openapi.json").json()["paths"])
    assert seen.label(name, "route") <= described | {"(none)"}
    assert seen.label(name, "method") <= {"GET", "POST", "other"}
    for word in (study, "worker-with-a-name", "st_other", "nobody-home", "BREW", "stranger"):
        assert word not in seen.text
    one = {"method": "GET", "route": "/v1/studies/{study}"}
    assert seen.value(name, **one, status="200") == 1
    assert seen.value(name, **one, status="404") == 1
    assert seen.value(name, method="POST", route="/v1/leases", status="201") == 1
    assert seen.value(name, method="GET", route="(none)", status="403") == 1


def test_a_route_that_raises_counts_as_500() -> None:
    app, metrics = FastAPI(), Metrics()

    @app.get("/broken/{part}")
    def broken(part: str) -> None:
        raise MemoryError(part)

    app.add_middleware(RequestTimer, metrics=metrics)
    client = TestClient(app, raise_server_exceptions=False)
    assert client.get("/broken/a").status_code == 500
    labels = {"method": "GET", "route": "/broken/{part}", "status": "500"}
    name = "rankadaptor_http_request_seconds_count"
    assert metrics.registry.get_sample_value(name, labels) == 1


def test_a_claim_that_waits_is_timed_until_its_answer(service: Service) -> None:
    assert service.claim(wait=0.3) is None
    labels = {"method": "POST", "route": "/v1/leases", "status": "204"}
    assert scrape(service).value("http_request_seconds_sum", **labels) >= 0.3


def test_planning_is_timed_step_by_step(service: Service) -> None:
    before = scrape(service).value("planning_seconds_count")
    service.submit()
    service.work(2)
    assert scrape(service).value("planning_seconds_count") >= before + 2


def test_the_last_success_is_a_time(service: Service) -> None:
    told = scrape(service).value("housekeeping_last_success_timestamp_seconds")
    assert time.time() - 60 < told <= time.time()


def test_two_applications_in_one_process_count_apart(
    directory: Path, migrated: Path, tmp_path: Path
) -> None:
    one, other = start(directory), start(Path(shutil.copytree(migrated, tmp_path / "other")))
    with one.client, other.client:
        one.submit()
        one.work(1)
        assert scrape(one).value("accepted_report_total", outcome="done") == 1
        assert scrape(other).value("accepted_report_total", outcome="done") == 0
