"""Scores are compared only where they were measured on the same data with the same tokenizer."""

from dataclasses import replace
from typing import Any

import pytest

from rankspace.lease import FORMATS_SINCE, INPUTS_SINCE, PROTOCOL, Claim
from rankspace.recipe import UNSTATED_READING, Inputs
from rankspace.wire import encode
from service.storage.documents import study_of
from service.storage.older_form import write_older
from service.studies.repository import Studies
from tests.unit.service.driver import ON_BOTH, Service, measurement, model, score, study

A, B, C = "a" * 64, "b" * 64, "c" * 64
SUBMITTED = {"data": A, "tokenizer": B, "reading": 2}
NOTHING = {"data": None, "tokenizer": None, "reading": None}
OLD = {**NOTHING, "reading": UNSTATED_READING}


def report(service: Service, lease: Any, worker: str = "w1", **versions: str) -> Any:
    measured = {**measurement(score(lease), lease), "versions": versions}
    return service.report(lease, score(lease), measurement=measured, worker=worker)


def stating(data: str | None, tokenizer: str | None = None, reading: int = 2) -> dict[str, str]:
    return Inputs(data, tokenizer, reading).stated()


def claim_of_before(service: Service, worker: str = "old") -> Any:
    """The answer to a worker that ignores inputs and states none."""
    return service.post("/v1/leases", encode(Claim(worker, INPUTS_SINCE - 1)), "worker")


def seen(service: Service, study_id: str) -> Any:
    return service.get(f"/v1/studies/{study_id}")


def known(service: Service, study_id: str) -> Any:
    return seen(service, study_id)["study"]["inputs"]


def test_workers_are_told_what_they_are_to_read(service: Service) -> None:
    study_id = service.submit(inputs=SUBMITTED)
    assert known(service, study_id) == SUBMITTED
    assert service.claim()["inputs"] == SUBMITTED


def test_a_worker_of_before_gets_no_field_that_it_would_refuse(service: Service) -> None:
    study_id = service.submit()
    lease = claim_of_before(service).json()
    assert "inputs" not in lease
    assert report(service, lease, "old").json() == {"status": "accepted"}
    assert known(service, study_id) == OLD
    assert claim_of_before(service).status_code == 201
    assert PROTOCOL >= INPUTS_SINCE


@pytest.mark.parametrize("inputs", [SUBMITTED, {"data": A}])
def test_a_worker_of_before_gets_nothing_of_a_study_that_asks_what_it_cannot_say(
    service: Service, inputs: dict[str, Any]
) -> None:
    asking = service.submit(inputs=inputs)
    other = service.submit(name="other")
    assert claim_of_before(service).json()["study_id"] == other
    (barred,) = seen(service, asking)["barred"]
    assert barred["worker"] == "old"
    assert f"lease protocol {INPUTS_SINCE - 1}" in barred["reason"]
    assert "upgrade" in barred["reason"]
    assert seen(service, asking)["progress"]["search"]["running"] == 0
    assert service.claim("new")["study_id"] == asking


@ON_BOTH
def test_a_study_that_only_workers_of_before_ask_for_pauses_and_says_why(service: Service) -> None:
    study_id = service.submit(inputs=SUBMITTED)
    for worker in ("w1", "w2", "w3"):
        assert claim_of_before(service, worker).status_code == 204
    view = seen(service, study_id)
    assert view["state"] == "paused"
    assert "upgrade the worker" in view["error"]


def test_results_of_before_are_joined_by_none_that_were_read_otherwise(service: Service) -> None:
    """After an upgrade two data sets would be mixed, and the first new result vouch for all."""
    study_id = service.submit()
    report(service, claim_of_before(service).json(), "old")
    with service.app.state.runtime.database.writing() as session:
        row = Studies(session).locked(study_id)  # as a service of before left it
        row.request, row.document = None, write_older(replace(study_of(row), inputs=Inputs()))
    lease = service.claim("new")
    assert lease["inputs"] == OLD  # by which the worker gives it back before it trains
    refused = report(service, lease, "new", **stating(A, B))
    assert refused.status_code == 409
    assert "version 2, and the study is measured on 1" in refused.json()["detail"]
    assert known(service, study_id) == NOTHING
    again = claim_of_before(service).json()
    assert again["trial_id"] == lease["trial_id"]
    assert report(service, again, "old").json() == {"status": "accepted"}
    assert service.claim("newer")["inputs"] == OLD


@pytest.mark.parametrize("wrong", [stating(C, B), stating(A, C), stating(C), {}, stating(A, B, 3)])
def test_a_result_of_other_inputs_is_no_result_and_no_failure(
    service: Service, wrong: dict[str, str]
) -> None:
    """It goes back into the queue, for whoever has the right ones, and costs the study nothing."""
    study_id = service.submit(inputs=SUBMITTED)
    lease = service.claim()
    refused = report(service, lease, **wrong)
    assert (refused.status_code, refused.json()["error"]) == (409, "LeaseLost")
    assert "the study is measured on" in refused.json()["detail"]
    assert report(service, lease, **wrong).status_code == 409
    view = seen(service, study_id)
    counts = view["progress"]["search"]
    assert (counts["done"], counts["failed"]) == (0, 0)
    (barred,) = view["barred"]
    assert barred["worker"] == "w1"
    assert "the study is measured on" in barred["reason"]
    assert service.claim("w1") is None
    again = service.claim("w2")
    assert again["trial_id"] == lease["trial_id"]
    assert report(service, again, "w2", **stating(A, B)).json() == {"status": "accepted"}


def test_a_study_that_only_finds_other_inputs_pauses_and_says_why(service: Service) -> None:
    study_id = service.submit(inputs=SUBMITTED)
    for worker in ("w1", "w2", "w3"):
        report(service, service.claim(worker), worker, **stating(C, B))
    view = seen(service, study_id)
    assert view["state"] == "paused"
    assert "recipe.data.train" in view["error"]


@ON_BOTH
def test_without_hashes_the_first_accepted_result_says_what_counts(service: Service) -> None:
    """Of a client of before, or of a body written by hand."""
    study_id = service.submit()
    assert known(service, study_id) == NOTHING
    first, second = service.claim("w1"), service.claim("w2")
    assert first["inputs"] == NOTHING
    report(service, first, **stating(A, B))
    assert known(service, study_id) == SUBMITTED
    assert report(service, second, "w2", **stating(C, B)).status_code == 409
    assert service.claim("w3")["inputs"] == SUBMITTED


def test_what_the_first_result_leaves_open_no_later_one_says_of_it(service: Service) -> None:
    study_id = service.submit()
    report(service, service.claim("w1"), **stating(None, B))
    left_open = {**SUBMITTED, "data": None}
    assert known(service, study_id) == left_open
    assert report(service, service.claim("w1"), **stating(A, B)).status_code == 200
    assert known(service, study_id) == left_open


def test_what_a_submission_leaves_open_the_first_result_says(service: Service) -> None:
    """Of a command line without the libraries of a worker."""
    study_id = service.submit(inputs={"data": A})
    report(service, service.claim("w1"), **stating(A, B))
    assert known(service, study_id) == SUBMITTED


def test_a_failed_trial_states_nothing(service: Service) -> None:
    study_id = service.submit()
    service.report(service.claim(), None)
    assert known(service, study_id) == NOTHING


def test_what_is_no_hash_is_refused_by_its_field(service: Service) -> None:
    service.submit()
    refused = report(service, service.claim(), data_sha256="x")
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("measurement.versions.data = 'x'")
    answer = service.post("/v1/studies", study(inputs={"data": "x"}))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("inputs.data = 'x'")


def test_a_repeated_submission_is_the_same_study_after_its_inputs_became_known(
    service: Service,
) -> None:
    headers = service.key("admin") | {"Idempotency-Key": "once"}

    def submitted(**changes: Any) -> Any:
        return service.client.post("/v1/studies", json=study(**changes), headers=headers)

    assert service.post("/v1/models", model()).status_code == 201
    first = submitted().json()["id"]
    report(service, service.claim(), **stating(A, B))
    assert submitted().json()["id"] == first
    assert submitted(inputs=SUBMITTED).json()["id"] == first
    assert submitted(inputs={"data": C}).status_code == 409
    assert submitted(name="another").status_code == 409


@pytest.mark.parametrize("form", ["chat", "completion"])
def test_a_worker_of_before_gets_no_format_that_it_does_not_know(
    service: Service, form: str
) -> None:
    recipe = study()["recipe"]
    asking = service.submit(recipe={**recipe, "data": {**recipe["data"], "format": form}})
    other = service.submit(name="other")
    before = encode(Claim("old", FORMATS_SINCE - 1))
    assert service.post("/v1/leases", before, "worker").json()["study_id"] == other
    (barred,) = seen(service, asking)["barred"]
    assert f"knows no recipe.data.format: {form}; upgrade" in barred["reason"]
    assert service.claim("new")["study_id"] == asking


def test_what_a_later_program_held_is_not_given_to_one_of_before(service: Service) -> None:
    """Whoever downgrades a worker would be given a trial that it cannot even read."""
    recipe = study()["recipe"]
    service.submit(recipe={**recipe, "data": {**recipe["data"], "format": "chat"}})
    assert service.claim("gpu-0")["token"] == 1
    before = encode(Claim("gpu-0", FORMATS_SINCE - 1))
    assert service.post("/v1/leases", before, "worker").status_code == 204
