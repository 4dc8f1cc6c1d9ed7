"""GPUs that cannot hold a study's trials get none, and it is said where nobody gets one."""

from itertools import product
from typing import Any

import pytest
from sqlalchemy import select, update

from rankspace.lease import SURVEYS_SINCE, Capabilities, Claim, queue_names
from rankspace.wire import encode
from service.leases.repository import Leases
from service.planning.stranding import LATE_SECONDS, SOON_SECONDS
from service.signals.hints import Queued
from service.storage.tables import BarRow, EventRow, StudyRow, WorkerRow
from service.workers.bars import TRIES
from service.workers.fitness import Memory, unfit
from tests.unit.service.driver import ON_BOTH, ON_SQLITE, Service, holding, model, score, study

SMALL, LARGE, CPU = Capabilities(12.0), Capabilities(24.0), Capabilities()
NEED = 17.25


def submitted(service: Service, need: float = NEED, **changes: Any) -> Any:
    assert service.post("/v1/models", model()).is_success
    answer = service.post(f"/v1/studies?gpu_need_gib={need}", study(**changes))
    assert answer.status_code == 201, answer.text
    return answer.json()


def claim(service: Service, worker: str, able: Capabilities | None, protocol: int = 8) -> Any:
    body = encode(Claim(worker, protocol if able else 1, able))
    answer = service.post("/v1/leases", body, "worker")
    assert answer.status_code in (201, 204), answer.text
    return answer.json() if answer.status_code == 201 else None


def give_back(service: Service, lease: Any, worker: str, reason: str | None = None) -> None:
    path = f"/v1/leases/{lease['trial_id']}/release"
    body = {**holding(lease), "worker": worker, "reason": reason}
    answer = service.post(path, body, "worker")
    assert answer.status_code == 204, answer.text


@ON_BOTH
def test_what_was_derived_keeps_small_gpus_away_and_nobody_else(service: Service) -> None:
    assert submitted(service)["gpu_need_gib"] == NEED
    assert claim(service, "small", SMALL) is None
    for worker, able in (("large", LARGE), ("cpu", CPU), ("silent", None)):
        lease = claim(service, worker, able)
        assert lease is not None, worker
        give_back(service, lease, worker)


@ON_SQLITE
@pytest.mark.parametrize(
    ("stated", "getting"), [(0.0, {"small", "large", "cpu"}), (20.0, {"large"}), (8.0, {"large"})]
)
def test_what_is_stated_always_counts(service: Service, stated: float, getting: set[str]) -> None:
    """Clients of before state 0 where nobody does; 8 lets the small one in."""
    shown = submitted(service, gpu_memory_gib=stated)
    assert shown["gpu_need_gib"] is None
    assert shown["study"]["gpu_memory_gib"] == stated
    expected = getting | ({"small"} if stated == 8.0 else set())
    for worker, able in (("small", SMALL), ("large", LARGE), ("cpu", CPU)):
        lease = claim(service, worker, able)
        assert (lease is not None) == (worker in expected), worker
        if lease is not None:
            give_back(service, lease, worker)


@ON_BOTH
def test_a_claim_and_what_is_said_of_it_are_decided_alike(service: Service) -> None:
    identity = submitted(service)["id"]
    database = service.app.state.runtime.database
    needs = product((0.0, 12.0, 24.0), (0.0, 16.0, 24.0))
    for stated, derived in needs:
        with database.writing() as session:
            session.execute(update(StudyRow).values(gpu_memory_gib=stated, gpu_need_gib=derived))
        with database.reading() as session:
            row = session.get_one(StudyRow, identity)
            for gib in (0.0, 8.0, 12.0, 16.0, 24.0, 80.0):
                gets = Leases(session).has_work("w", Capabilities(gib), "default")
                assert gets == Memory("default", gib).fits(row), (stated, derived, gib)
            assert Leases(session).has_work("w", None, "default")
            assert Memory("*", None).fits(row)


@ON_SQLITE
def test_where_no_worker_is_large_enough_that_is_said_until_one_comes(service: Service) -> None:
    identity = submitted(service)["id"]
    path, page = f"/v1/studies/{identity}", f"/studies/{identity}"
    assert service.get(path)["unfit"] is None
    assert claim(service, "small", SMALL) is None
    said = service.get(path)["unfit"]
    assert "take 17.25 GiB of a GPU" in said
    assert "an active worker has 12.00 GiB" in said
    assert "gpu_memory_gib: 0" in said
    code = service.post("/v1/login-codes").json()["code"]
    assert service.client.post("/login", data={"code": code}).is_success
    assert f"No active worker gets its trials: {said}." in service.client.get(page).text
    assert service.get("/v1/studies")["items"][0]["unfit"] == said
    lease = claim(service, "cpu", CPU)
    assert service.get(path)["unfit"] is None
    assert "No active worker" not in service.client.get(page).text
    give_back(service, lease, "cpu")


@ON_SQLITE
def test_a_worker_that_comes_back_with_another_gpu_counts_as_it_is_now(service: Service) -> None:
    identity = submitted(service)["id"]
    assert claim(service, "w", SMALL) is None
    assert service.get(f"/v1/studies/{identity}")["unfit"]
    assert claim(service, "w", LARGE) is not None
    assert service.get(f"/v1/studies/{identity}")["unfit"] is None


@ON_SQLITE
def test_what_a_worker_has_is_in_the_next_answer(service: Service) -> None:
    """Nothing else has happened, and as many workers are there."""
    identity = submitted(service)["id"]
    assert claim(service, "w", SMALL) is None
    assert "has 12.00 GiB" in service.get(f"/v1/studies/{identity}")["unfit"]
    with service.app.state.runtime.database.writing() as session:
        session.execute(update(WorkerRow).values(gpu_memory_gib=16.0))
    assert "has 16.00 GiB" in service.get(f"/v1/studies/{identity}")["unfit"]


@ON_BOTH
def test_the_time_left_counts_who_may_get_trials_and_none_is_told_where_nobody_may(
    service: Service,
) -> None:
    path = f"/v1/studies/{submitted(service)['id']}"
    lease = claim(service, "cpu", CPU)
    service.let_time_pass(60.0)
    assert service.report(lease, score(lease), worker="cpu").is_success
    alone = service.get(path)["eta_seconds"]
    assert alone > 0.0
    for worker in ("small", "smaller"):
        assert claim(service, worker, SMALL) is None
    seen = service.get(path)
    assert (seen["eta_seconds"], seen["workers_active"]) == (alone, 3)
    with service.app.state.runtime.database.writing() as session:
        gone = update(WorkerRow).where(WorkerRow.name == "cpu").values(last_seen=0.0)
        session.execute(gone)
    seen = service.get(path)
    assert (seen["eta_seconds"], seen["before_recovery_seconds"]) == (None, None)
    assert seen["unfit"]


@ON_SQLITE
def test_a_study_that_is_paused_waits_for_nobody(service: Service) -> None:
    identity = submitted(service, gpu_memory_gib=80.0)["id"]
    assert claim(service, "large", LARGE) is None
    assert "states gpu_memory_gib: 80" in service.get(f"/v1/studies/{identity}")["unfit"]
    assert service.post(f"/v1/studies/{identity}/pause").json()["unfit"] is None


@pytest.mark.parametrize(
    ("memories", "said"),
    [
        ([], None),
        ([Memory("p", 12.0)], "has 12.00 GiB"),
        ([Memory("p", 12.0), Memory("*", 16.0)], "has 16.00 GiB"),
        ([Memory("p", 12.0), Memory("*", 24.0)], None),
        ([Memory("p", 12.0), Memory("p", 0.0)], None),
        ([Memory("p", 12.0), Memory("p", None)], None),
        ([Memory("p", 12.0), Memory("q", 24.0)], "has 12.00 GiB"),
        ([Memory("q", 24.0)], "no active worker is of project p"),
    ],
)
def test_workers_of_other_projects_do_not_count(memories: list[Memory], said: str | None) -> None:
    there = dict.fromkeys(memories, 1)
    found = unfit(StudyRow(project="p", gpu_memory_gib=0.0, gpu_need_gib=NEED), there)
    assert (found is None) if said is None else (said in str(found))


@pytest.mark.parametrize(
    ("stated", "gib", "said"),
    [
        (8.0, 0.0, "the study states gpu_memory_gib: 8, and no active worker has a GPU; start a"),
        (24.0, 23.999, "gpu_memory_gib: 24, and the largest GPU of an active worker has 23.99 GiB"),
        (0.0, 17.249, "take 17.25 GiB of a GPU, and the largest GPU of an active worker has 17.24"),
    ],
)
def test_what_is_lacking_can_be_seen_in_the_numbers(stated: float, gib: float, said: str) -> None:
    row = StudyRow(project="p", gpu_memory_gib=stated, gpu_need_gib=0.0 if stated else NEED)
    assert said in str(unfit(row, {Memory("p", gib): 1}))


@ON_SQLITE
def test_a_copy_needs_as_much_and_the_log_says_it(service: Service) -> None:
    identity = submitted(service)["id"]
    copy = service.post(f"/v1/studies/{identity}/clone", {"seed": 5}).json()
    assert copy["gpu_need_gib"] == NEED
    with service.app.state.runtime.database.reading() as session:
        told = session.scalars(select(EventRow.content).where(EventRow.kind == "submitted")).all()
    assert [one["gpu_need_gib"] for one in told] == [NEED, NEED]


@ON_SQLITE
def test_a_key_brings_the_study_back_whatever_was_derived_and_by_which_client(
    service: Service,
) -> None:
    assert service.post("/v1/models", model()).is_success
    once = {**service.key("admin"), "Idempotency-Key": "once"}

    def sent(need: float, **changes: Any) -> Any:
        path = f"/v1/studies?gpu_need_gib={need}"
        return service.client.post(path, json=study(**changes), headers=once)

    first = sent(0.0, gpu_memory_gib=0.0)  # as clients of before send it
    assert first.status_code == 201, first.text
    for need in (0.0, 17.0):
        again = sent(need)
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert sent(0.0, gpu_memory_gib=8.0).status_code == 409


@ON_SQLITE
@pytest.mark.parametrize("need", ["-1", "nan", "inf", "200000", "x"])
def test_what_is_no_memory_is_refused(service: Service, need: str) -> None:
    answer = service.post(f"/v1/studies?gpu_need_gib={need}", study())
    assert answer.status_code == 422
    assert "gpu_need_gib" in answer.json()["detail"]


def test_small_gpus_do_not_hear_of_what_they_cannot_hold() -> None:
    queues = set(Queued(1, 0, 0.0, NEED, "Llama", "f").queues(is_new=False))
    heard = {
        gib: bool(queues.intersection(queue_names.served(gib, ("Llama",), None)))
        for gib in (0.0, 12.0, 24.0, 80.0)
    }
    assert heard == {0.0: True, 12.0: False, 24.0: True, 80.0: True}


@pytest.mark.parametrize(
    ("has", "need"), [(7.6, 7.0), (14.6, 14.0), (22.5, 17.25), (44.4, 41.0), (79.1, 70.0)]
)
def test_a_gpu_hears_of_what_it_can_hold_though_it_has_less_than_its_name_says(
    has: float, need: float
) -> None:
    for queued in (Queued(1, 0, 0.0, need, "Llama", "f"), Queued(1, 0, need, 0.0, "Llama", "f")):
        heard = queue_names.served(has, ("Llama",), None)
        assert set(queued.queues(is_new=False)).intersection(heard)


@pytest.mark.parametrize("stated", [0.0, 8.0])
def test_what_was_not_derived_is_announced_as_before(stated: float) -> None:
    queued = Queued(1, 0, stated, 0.0, "Llama", "f")
    need = queue_names.of_need(stated, "Llama")
    assert queued.queues(is_new=False) == (queue_names.of_model("f"), need)


@ON_BOTH
def test_gpus_that_are_too_small_do_not_count_where_nobody_else_can_open_a_study(
    service: Service,
) -> None:
    identity = submitted(service)["id"]
    for worker in ("small", "smaller"):
        assert claim(service, worker, SMALL) is None
    for _ in range(TRIES):
        with service.app.state.runtime.database.writing() as session:
            session.execute(update(BarRow).values(until=0.0))
        give_back(service, claim(service, "large", LARGE), "large", "cannot be read")
    seen = service.get(f"/v1/studies/{identity}")
    assert (seen["state"], seen["error"]) == (
        "paused",
        "no worker can run its trials; large: cannot be read",
    )


def surveyed(service: Service) -> str:
    search = {**study()["search"], "survey": {"steps": 10, "vectors": 12}}
    return str(submitted(service, search=search)["id"])


def state(service: Service, identity: str) -> Any:
    service.sweep()
    return service.get(f"/v1/studies/{identity}")["state"]


@ON_BOTH
def test_a_survey_waits_for_a_gpu_that_is_large_enough(service: Service) -> None:
    """However long there are only others; where one comes that runs none, not any longer."""
    identity = surveyed(service)
    service.let_time_pass(LATE_SECONDS + 1)
    assert claim(service, "small", SMALL) is None
    assert state(service, identity) == "surveying"
    claim(service, "large", LARGE, SURVEYS_SINCE - 1)
    assert state(service, identity) == "searching"


@ON_BOTH
def test_a_survey_does_not_wait_for_a_small_gpu_that_could_run_one(service: Service) -> None:
    identity = surveyed(service)
    service.let_time_pass(SOON_SECONDS + 1)
    assert claim(service, "small", SMALL) is None
    claim(service, "large", LARGE, SURVEYS_SINCE - 1)
    assert state(service, identity) == "searching"
