"""All trials of a study have base weights of one type, whatever the device that runs them."""

from typing import Any

import pytest
from sqlalchemy import select, update

from rankspace.lease import Capabilities, Claim
from rankspace.wire import encode
from service.storage.tables import EventRow, StudyRow
from tests.unit.service.driver import ON_BOTH, Service, holding, measurement, score, study

CPU, GPU = Capabilities(), Capabilities(24.0)


def claim(service: Service, worker: str, able: Capabilities | None, protocol: int = 7) -> Any:
    said = encode(Claim(worker, protocol, able))
    answer = service.post("/v1/leases", said, "worker")
    assert answer.status_code == 201, answer.text
    return answer.json()


def kept(service: Service, study_id: str) -> Any:
    with service.app.state.runtime.database.reading() as session:
        return session.scalar(select(StudyRow.base_dtype).where(StudyRow.id == study_id))


def measured(service: Service, lease: Any, worker: str, device: str) -> None:
    versions = {"device": device}
    said = {**measurement(score(lease), lease), "versions": versions}
    answer = service.report(lease, score(lease), measurement=said, worker=worker)
    assert answer.json() == {"status": "accepted"}


@ON_BOTH
@pytest.mark.parametrize(
    ("first", "second", "dtype"),
    [(CPU, GPU, "float32"), (GPU, CPU, "bfloat16"), (None, GPU, "float32")],
    ids=["cpu first", "gpu first", "protocol 1 first"],
)
def test_the_first_claim_settles_it_for_all(
    service: Service, first: Capabilities | None, second: Capabilities, dtype: str
) -> None:
    study_id = service.submit()
    assert kept(service, study_id) is None
    one = claim(service, "w1", first, 1 if first is None else 7)
    two = claim(service, "w2", second)
    assert one["trial_id"] != two["trial_id"]
    assert [lease["recipe"]["dtype"] for lease in (one, two)] == [dtype, dtype]
    assert claim(service, "w1", first, 1 if first is None else 7) == one
    with service.app.state.runtime.database.reading() as session:
        found = session.scalars(select(EventRow.content).where(EventRow.kind == "claimed")).all()
    assert [content.get("base_dtype") for content in found] == [dtype, None]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_the_recipe_says_goes_before(service: Service, dtype: str) -> None:
    study_id = service.submit(recipe={**study()["recipe"], "dtype": dtype})
    assert kept(service, study_id) == dtype
    for worker, able in (("w1", CPU), ("w2", GPU)):
        assert claim(service, worker, able)["recipe"]["dtype"] == dtype


def test_what_was_submitted_stays_as_it_was(service: Service) -> None:
    study_id = service.submit()
    claim(service, "w1", GPU)
    shown = service.get(f"/v1/studies/{study_id}")
    assert (shown["study"]["recipe"]["dtype"], shown["base_dtype"]) == ("auto", "bfloat16")


@pytest.mark.parametrize(
    ("device", "dtype"), [("cpu, 2 threads", "float32"), ("NVIDIA H200", "bfloat16")]
)
def test_a_study_of_before_is_settled_by_what_its_results_were_measured_in(
    service: Service, device: str, dtype: str
) -> None:
    study_id = service.submit()
    measured(service, claim(service, "w1", CPU), "w1", device)
    with service.app.state.runtime.database.writing() as session:
        session.execute(update(StudyRow).values(base_dtype=None))
    other = GPU if dtype == "float32" else CPU
    assert claim(service, "w2", other)["recipe"]["dtype"] == dtype
    assert kept(service, study_id) == dtype


@pytest.mark.parametrize("is_of_before", [False, True])
def test_a_study_that_begins_with_results_has_their_type(
    service: Service, is_of_before: bool
) -> None:
    inputs = {"data": "a" * 64, "tokenizer": "b" * 64, "reading": 2}
    first = service.submit(inputs=inputs)
    lease = claim(service, "w1", GPU)
    said = {**measurement(score(lease), lease)}
    stated = {"data_sha256": "a" * 64, "tokenizer_sha256": "b" * 64, "data_reading": "2"}
    said["versions"] = {"device": "NVIDIA H200", **stated}
    assert service.report(lease, score(lease), measurement=said).status_code == 200
    if is_of_before:
        with service.app.state.runtime.database.writing() as session:
            session.execute(update(StudyRow).values(base_dtype=None))
    answer = service.post(f"/v1/studies?from={first}", study(inputs=inputs, name="second"))
    assert answer.status_code == 201, answer.text
    assert kept(service, answer.json()["id"]) == "bfloat16"


def test_a_study_of_before_that_only_began_with_results_has_their_type(service: Service) -> None:
    inputs = {"data": "a" * 64, "tokenizer": "b" * 64, "reading": 2}
    first = service.submit(inputs=inputs)
    lease = claim(service, "w1", GPU)
    said = {**measurement(score(lease), lease)}
    stated = {"data_sha256": "a" * 64, "tokenizer_sha256": "b" * 64, "data_reading": "2"}
    said["versions"] = {"device": "NVIDIA H200", **stated}
    assert service.report(lease, score(lease), measurement=said).status_code == 200
    answer = service.post(f"/v1/studies?from={first}", study(inputs=inputs, name="second"))
    second = answer.json()["id"]
    assert service.post(f"/v1/studies/{first}/cancel").status_code == 200
    with service.app.state.runtime.database.writing() as session:
        session.execute(update(StudyRow).values(base_dtype=None))
    lease = claim(service, "w2", CPU)
    assert (lease["study_id"], lease["recipe"]["dtype"]) == (second, "bfloat16")


def test_who_does_not_say_has_the_gpu_that_the_study_asks_for(service: Service) -> None:
    service.submit(gpu_memory_gib=20.0)
    assert claim(service, "w1", None, 1)["recipe"]["dtype"] == "bfloat16"


def give_back(service: Service, lease: Any, worker: str, **said: Any) -> None:
    path = f"/v1/leases/{lease['trial_id']}/release"
    answer = service.post(path, {**holding(lease), "worker": worker, **said}, "worker")
    assert answer.status_code == 204, answer.text


@ON_BOTH
def test_a_claim_that_is_given_back_binds_nobody(service: Service) -> None:
    study_id = service.submit()
    give_back(service, claim(service, "w1", CPU), "w1", reason="needs 31 GiB, has 16")
    assert kept(service, study_id) is None
    assert claim(service, "w2", GPU)["recipe"]["dtype"] == "bfloat16"
    give_back(service, claim(service, "w3", CPU), "w3")
    assert kept(service, study_id) == "bfloat16"


def test_a_claim_that_expired_binds_for_it_may_be_reported_yet(service: Service) -> None:
    study_id = service.submit()
    claim(service, "w1", CPU)
    service.let_leases_run_out()
    service.sweep()
    give_back(service, claim(service, "w2", GPU), "w2")
    assert kept(service, study_id) == "float32"


def test_what_was_asked_for_is_given_back_by_nobody(service: Service) -> None:
    study_id = service.submit(recipe={**study()["recipe"], "dtype": "bfloat16"})
    give_back(service, claim(service, "w1", CPU), "w1")
    assert kept(service, study_id) == "bfloat16"
