"""The survey before the search: one lease, many scores, and what becomes of a study without it."""

import io
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import select, update

from rankadaptor.study_view import study_details
from rankspace.lease import SURVEYS_SINCE
from service.leases.workflow import MAX_EXPIRIES
from service.planning.replay import replay
from service.planning.stranding import LATE_SECONDS, SOON_SECONDS
from service.planning.study_results import StudyResults
from service.planning.surveying import TRIES
from service.storage.clock import Now
from service.storage.tables import WorkerRow
from tests.unit.service.driver import ON_BOTH, Service, holding, measurement, score, study

pytestmark = pytest.mark.slow

STEPS, VECTORS = 10, 12
SURVEY = {"steps": STEPS, "vectors": VECTORS}


def submit(service: Service, **search: Any) -> str:
    asked = {**study()["search"], "survey": SURVEY, **search}
    return service.submit(search=asked)


def view(service: Service, identity: str) -> Any:
    return service.get(f"/v1/studies/{identity}")


def scores(lease: Mapping[str, Any]) -> list[float]:
    vectors = lease["survey"]["vectors"]
    return [score({**lease, "rank_vector": {"ranks": ranks}}) for ranks in vectors]


def done(lease: Mapping[str, Any], said: list[float], **changes: Any) -> dict[str, Any]:
    return {**measurement(score(lease), lease), "scores": said, **changes}


def deliver(service: Service, lease: Mapping[str, Any], said: list[float] | None = None) -> Any:
    said = scores(lease) if said is None else said
    return service.report(lease, score(lease), measurement=done(lease, said))


def drawn(what: Any) -> str:
    console = Console(width=200, file=io.StringIO())
    console.print(what)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def claim_of_before(service: Service, worker: str = "old") -> Any:
    body = {"worker": worker, "protocol": SURVEYS_SINCE - 1}
    answer = service.post("/v1/leases", body, "worker")
    assert answer.status_code in (201, 204), answer.text
    return answer.json() if answer.status_code == 201 else None


def learned(service: Service, identity: str) -> StudyResults:
    with service.app.state.runtime.database.reading() as session:
        results = StudyResults.open(session, identity)
        results.catch_up(session)
    return results


@ON_BOTH
def test_a_study_surveys_searches_and_ends_as_any_other(service: Service) -> None:
    identity = submit(service)
    assert view(service, identity)["state"] == "surveying"
    assert view(service, identity)["progress"]["search"]["planned"] == 7
    lease = service.claim()
    assert (lease["purpose"], lease["steps"], lease["keep_adapter"]) == ("survey", STEPS, True)
    assert set(lease["rank_vector"]["ranks"]) == {8}
    assert len(lease["survey"]["vectors"]) == VECTORS
    assert not {*map(tuple, lease["survey"]["pool"])} & {*map(tuple, lease["survey"]["vectors"])}
    assert deliver(service, lease).json() == {"status": "accepted"}
    purposes = [one["purpose"] for one in service.work()]
    seen = view(service, identity)
    assert seen["state"] == "done"
    assert purposes.count("search") == 7
    assert seen["note"] is None
    assert seen["progress"]["survey"]["done"] == 1
    assert seen["seconds"]["survey"] > 0.0
    results = learned(service, identity)
    assert [one.score for one in results.state.surveyed] == pytest.approx(scores(lease))
    assert results.survey_seconds == pytest.approx(seen["seconds"]["survey"])
    with service.app.state.runtime.database.reading() as session:
        assert replay(session, identity) == ()


def test_the_search_hears_the_survey(service: Service) -> None:
    """Down projections are worth most by far; the first vector after uniform says so."""
    submit(service)
    deliver(service, service.claim())
    service.work(1)
    lease = service.claim()
    by_kind: dict[str, int] = {}
    for layer, rank in zip(lease["layers"], lease["rank_vector"]["ranks"], strict=True):
        by_kind[layer["module"]] = by_kind.get(layer["module"], 0) + rank
    assert max(by_kind, key=by_kind.__getitem__) == "down_proj"


LEAST = [-3.0] * (VECTORS - 1)


@pytest.mark.parametrize(
    "said",
    [[], LEAST, [*LEAST, -3.0, -3.0], [*LEAST, -1e308], [*LEAST, 1.0]],
    ids=["none", "too few", "too many", "no loss of a model", "below zero"],
)
def test_scores_that_cannot_be_are_refused_and_change_nothing(
    service: Service, said: list[float]
) -> None:
    identity = submit(service)
    lease = service.claim()
    answer = deliver(service, lease, said)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("measurement.scores")
    assert view(service, identity)["progress"]["survey"]["running"] == 1
    assert deliver(service, lease).json() == {"status": "accepted"}


@pytest.mark.parametrize(("said", "refusals"), [([*LEAST, -2e6], 0), (LEAST, 1)])
def test_a_score_out_of_range_is_held_against_the_recipe_and_a_wrong_count_against_the_worker(
    service: Service, said: list[float], refusals: int
) -> None:
    submit(service)
    assert deliver(service, service.claim(), said).status_code == 422
    with service.app.state.runtime.database.reading() as session:
        counted = session.scalar(select(WorkerRow.refusals).where(WorkerRow.name == "w1"))
    assert counted == refusals


def test_a_survey_is_not_handed_again_to_a_name_that_speaks_an_older_protocol(
    service: Service,
) -> None:
    identity = submit(service)
    lease = service.claim("same")
    assert claim_of_before(service, "same") is None
    assert view(service, identity)["progress"]["survey"]["queued"] == 1
    assert service.claim("new")["survey"] == lease["survey"]


def test_the_list_of_trials_leaves_out_the_scores(service: Service) -> None:
    identity = submit(service)
    lease = service.claim()
    deliver(service, lease)
    (listed, *_) = service.get(f"/v1/studies/{identity}/trials")["items"]
    assert listed["purpose"] == "survey"
    assert "scores" not in listed["measurement"]
    events = service.get(f"/v1/studies/{identity}/events")["items"]
    said = [event["content"]["scores"] for event in events if event["kind"] == "done"]
    assert said == [pytest.approx(scores(lease))]


def test_a_search_trial_brings_no_scores(service: Service) -> None:
    service.submit()
    lease = service.claim()
    answer = service.report(lease, score(lease), measurement=done(lease, [-3.0]))
    assert answer.status_code == 422


@ON_BOTH
def test_a_report_counts_once_and_a_late_one_not_at_all(service: Service) -> None:
    identity = submit(service)
    lost = service.claim()
    service.let_leases_run_out()
    service.sweep()
    lease = service.claim("w2")
    assert lease["token"] == lost["token"] + 1
    assert lease["survey"] == lost["survey"]
    assert service.report(lost, score(lost), upload=False).status_code == 409
    held = {"worker": "w2", "token": lease["token"]}
    service.upload(lease, worker="w2")
    body = {**holding(lease), **held, "outcome": "done", "measurement": done(lease, scores(lease))}
    path = f"/v1/leases/{lease['trial_id']}/report"
    said = [service.post(path, body, "worker").json()["status"] for _ in range(2)]
    assert said == ["accepted", "duplicate"]
    assert len(learned(service, identity).state.surveyed) == VECTORS


def test_a_survey_whose_adapter_was_not_uploaded_is_no_survey(service: Service) -> None:
    submit(service)
    lease = service.claim()
    said = done(lease, scores(lease))
    refused = service.report(lease, score(lease), upload=False, measurement=said)
    assert refused.status_code == 422
    assert "was uploaded" in refused.json()["detail"]


def test_after_failing_twice_it_is_left_out_and_the_study_says_why(service: Service) -> None:
    identity = submit(service)
    for _ in range(TRIES):
        lease = service.claim()
        assert lease["purpose"] == "survey"
        service.report(lease, None)
    service.sweep()
    seen = view(service, identity)
    assert seen["state"] == "searching"
    assert seen["note"] == (
        "searched without a survey: it failed 2 times; the last time: the loss is NaN"
    )
    assert service.claim()["purpose"] == "search"
    assert seen["note"] in drawn(study_details(seen))
    made = service.client.post("/v1/login-codes", headers=service.key("admin"))
    service.client.post("/login", data={"code": made.json()["code"]})
    assert seen["note"] in service.client.get(f"/studies/{identity}").text


def test_a_worker_of_before_gets_no_survey_but_what_else_there_is(service: Service) -> None:
    surveying = submit(service)
    assert claim_of_before(service) is None
    other = service.submit(name="other")
    assert claim_of_before(service)["study_id"] == other
    assert view(service, surveying)["state"] == "surveying"


@ON_BOTH
def test_with_workers_of_before_alone_a_study_goes_on_without_it(service: Service) -> None:
    identity = submit(service)
    assert claim_of_before(service) is None
    service.let_time_pass(SOON_SECONDS + 1)
    service.sweep()
    seen = view(service, identity)
    assert seen["state"] == "searching"
    assert "no worker that can run a survey" in seen["note"]
    lease = claim_of_before(service)
    assert lease["purpose"] == "search"
    assert "survey" not in lease


@ON_BOTH
def test_who_can_run_it_is_waited_for_but_not_for_ever(service: Service) -> None:
    service.submit(name="other")
    busy = service.claim("busy")
    identity = submit(service)
    assert busy["study_id"] != identity
    service.let_time_pass(SOON_SECONDS + 1)
    service.sweep()
    assert view(service, identity)["state"] == "surveying"
    service.let_time_pass(LATE_SECONDS)
    service.sweep()
    assert view(service, identity)["state"] == "searching"


def be_away(service: Service, worker: str) -> None:
    """It was not seen for a day."""
    gone = update(WorkerRow).where(WorkerRow.name == worker)
    with service.app.state.runtime.database.writing() as session:
        session.execute(gone.values(last_seen=Now() - 86_400.0))


@ON_BOTH
@pytest.mark.parametrize("how", ["expired", "released"])
def test_one_that_was_taken_and_given_back_is_not_waited_for_without_end(
    service: Service, how: str
) -> None:
    identity = submit(service)
    lease = service.claim("new")
    if how == "expired":
        service.let_leases_run_out()
        service.sweep()
    else:
        path = f"/v1/leases/{lease['trial_id']}/release"
        assert service.post(path, holding(lease, worker="new"), "worker").status_code == 204
    be_away(service, "new")
    assert claim_of_before(service) is None
    service.sweep()
    assert view(service, identity)["state"] == "surveying"
    service.let_time_pass(SOON_SECONDS + 1)
    service.sweep()
    assert view(service, identity)["state"] == "searching"
    assert "no worker that can run a survey" in view(service, identity)["note"]
    assert claim_of_before(service)["purpose"] == "search"


def test_workers_of_another_project_are_no_reason_to_do_without(service: Service) -> None:
    service.post("/v1/projects", {"name": "other"})
    theirs = {"worker": "theirs", "protocol": SURVEYS_SINCE}
    key = service.issue("worker", project="other")
    assert service.client.post("/v1/leases", json=theirs, headers=key).status_code == 204
    identity = submit(service)
    service.let_time_pass(LATE_SECONDS + 1)
    service.sweep()
    assert view(service, identity)["state"] == "surveying"
    claim_of_before(service)
    service.sweep()
    assert view(service, identity)["state"] == "searching"


def test_a_study_that_is_paused_does_not_wait_meanwhile(service: Service) -> None:
    service.submit(name="other")
    service.claim("busy")
    identity = submit(service)
    service.post(f"/v1/studies/{identity}/pause")
    service.let_time_pass(LATE_SECONDS + 1)
    service.post(f"/v1/studies/{identity}/resume")
    service.sweep()
    assert view(service, identity)["state"] == "surveying"
    service.let_time_pass(LATE_SECONDS + 1)
    service.sweep()
    assert view(service, identity)["state"] == "searching"


def test_a_survey_that_loses_three_workers_has_no_successor(service: Service) -> None:
    identity = submit(service)
    for number in range(MAX_EXPIRIES):
        assert service.claim(f"w{number}")["purpose"] == "survey"
        service.let_leases_run_out()
        service.sweep()
    seen = view(service, identity)
    assert seen["state"] == "searching"
    assert seen["note"] == "searched without a survey: it failed: lost its worker 3 times"


def test_a_survey_that_takes_all_the_time_leaves_the_search_half_of_it(service: Service) -> None:
    budget = {**study()["search"]["budget"], "gpu_hours": 1.0}
    identity = submit(service, budget=budget)
    lease = service.claim()
    service.let_time_pass(2 * 3600)
    assert deliver(service, lease).json() == {"status": "accepted"}
    service.sweep()
    seen = view(service, identity)
    assert seen["state"] == "searching"
    assert seen["note"] == (
        "the survey took 2 hours, of which 0.5 count in the 1 of search.budget.gpu_hours, "
        "so that the search has the others"
    )
    lease = service.claim()
    assert lease["purpose"] == "search"
    service.let_time_pass(1900)
    service.report(lease, score(lease))
    service.sweep()
    assert view(service, identity)["state"] == "verifying"


def test_a_survey_that_tells_nothing_is_said_to(service: Service) -> None:
    identity = submit(service)
    deliver(service, service.claim(), [-3.0] * VECTORS)
    service.sweep()
    seen = view(service, identity)
    assert seen["state"] == "searching"
    assert seen["note"] == ("searched without a survey: its scores do not tell the layers apart")


def test_in_a_space_of_few_vectors_nothing_is_surveyed(service: Service) -> None:
    identity = submit(service, ranks=[4], budget={"parameters": "uniform:4"})
    seen = view(service, identity)
    assert seen["state"] == "searching"
    assert "too few to tell the layers apart" in seen["note"]


def test_without_any_worker_the_survey_waits(service: Service) -> None:
    identity = submit(service)
    service.let_time_pass(2 * LATE_SECONDS)
    service.sweep()
    assert view(service, identity)["state"] == "surveying"


def test_a_survey_that_runs_is_never_left_out(service: Service) -> None:
    identity = submit(service)
    lease = service.claim()
    service.let_time_pass(2 * LATE_SECONDS)
    service.sweep()
    assert view(service, identity)["state"] == "surveying"
    assert deliver(service, lease).json() == {"status": "accepted"}
    service.sweep()
    assert view(service, identity)["state"] == "searching"
    assert view(service, identity)["note"] is None


def test_a_study_is_paused_resumed_and_cancelled_while_it_surveys(service: Service) -> None:
    identity = submit(service)
    for move, state in (("pause", "paused"), ("resume", "surveying"), ("cancel", "cancelled")):
        assert service.post(f"/v1/studies/{identity}/{move}").status_code == 200
        assert view(service, identity)["state"] == state
    assert service.claim() is None


@pytest.mark.parametrize(
    ("search", "field"),
    [
        ({"survey": {"steps": 0}}, "search.survey.steps"),
        ({"survey": {"vectors": 7}}, "search.survey.vectors"),
        ({"survey": {"vectors": 501}}, "search.survey.vectors"),
        ({"survey": {"vectors": 1e308}}, "search.survey.vectors"),
        ({"survey": {"vectors": 10**9}}, "search.survey.vectors"),
        ({"survey": SURVEY, "strategy": "gp"}, "search.survey"),
        ({"survey": SURVEY, "strategy": "blend"}, "search.survey"),
    ],
)
def test_a_survey_that_cannot_be_is_refused(
    service: Service, search: dict[str, Any], field: str
) -> None:
    service.submit()
    asked = study(search={**study()["search"], **search})
    answer = service.post("/v1/studies", asked)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(field)


def test_a_study_without_one_is_written_as_ever(service: Service) -> None:
    """So that a service of the version before on the same database goes on reading it."""
    seen = view(service, service.submit())
    assert seen["state"] == "searching"
    assert "survey" not in seen["study"]["search"]
