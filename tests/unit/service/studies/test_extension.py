"""A study that is done goes on: more trials, fresh seeds, own candidates, once per key."""

from typing import Any

import pytest

from perfmodel.evidence.comparison import compare
from perfmodel.evidence.fresh_seeds import FreshSeeds
from perfmodel.evidence.looks import error_after, plan_looks
from rankspace.study import CHOOSING_SEEDS, StudyState
from service.planning.replay import replay
from service.studies.extension import MOST
from tests.unit.service.beginnings import DONE, STATED
from tests.unit.service.driver import ON_BOTH, ON_SQLITE, Service, score, start, study

pytestmark = pytest.mark.slow


def _done(service: Service, **changes: Any) -> str:
    identity = service.submit(**changes)
    service.work()
    assert service.get(f"/v1/studies/{identity}")["state"] == "done"
    return identity


def _extend(service: Service, identity: str, body: Any, **headers: str) -> Any:
    return service.client.post(
        f"/v1/studies/{identity}/extend", json=body, headers=service.key("admin") | headers
    )


def _mismatches(service: Service, identity: str) -> Any:
    with service.app.state.runtime.database.reading() as session:
        return replay(session, identity)


@DONE
def test_more_trials_are_searched_and_verified_on_seeds_nobody_has_seen(service: Service) -> None:
    identity = service.only_study()
    before = service.get(f"/v1/studies/{identity}")
    answer = _extend(service, identity, {"trials": 3})
    assert answer.status_code == 200, answer.text
    begun = answer.json()
    assert (begun["state"], begun["extensions"]) == ("searching", 1)
    assert begun["verdict"] == before["verdict"]
    assert begun["progress"]["search"]["planned"] == 10
    assert begun["progress"]["verify"]["planned"] > before["progress"]["verify"]["planned"]
    trials = service.work()
    assert [trial["purpose"] for trial in trials].count("search") == 3
    seeds = {trial["seed"] for trial in trials if trial["purpose"] == "verify"}
    assert FreshSeeds(0, looks=1).of(0) in seeds
    after = service.get(f"/v1/studies/{identity}")
    assert (after["state"], after["verdict"]["extensions"]) == ("done", 1)
    assert after["verdict"]["trials"] == 10
    assert _mismatches(service, identity) == ()


@DONE
def test_fresh_seeds_alone_verify_again_and_the_last_adapter_stays(service: Service) -> None:
    identity = service.only_study()
    before = service.get(f"/v1/studies/{identity}")
    assert _extend(service, identity, {"seeds": 5}).status_code == 200
    trials = service.work()
    assert {trial["purpose"] for trial in trials} == {"verify"}
    seeds = {trial["seed"] for trial in trials}
    assert len(seeds) >= CHOOSING_SEEDS + 5
    after = service.get(f"/v1/studies/{identity}")
    assert after["verdict"]["best_rank_vector"] == before["verdict"]["best_rank_vector"]
    assert after["export_ready"]
    assert after["progress"]["recover"]["done"] == 1


def test_another_winner_is_recovered_anew(service: Service) -> None:
    identity = _done(service, search={**study()["search"], "strategy": "random"})
    favourite = [0] * 11 + [8]

    def other(lease: Any) -> float:
        mine = lease["rank_vector"]["ranks"] == favourite
        return score(lease) + (1.0 if mine else 0.0)

    assert _extend(service, identity, {"candidates": [favourite]}).status_code == 200
    trials = service.work(measure=other)
    assert trials[0]["rank_vector"]["ranks"] == favourite
    (recovery,) = [trial for trial in trials if trial["purpose"] == "recover"]
    assert recovery["rank_vector"]["ranks"] == favourite
    assert service.get(f"/v1/studies/{identity}")["progress"]["recover"]["done"] == 2


@DONE
def test_a_key_extends_once(service: Service) -> None:
    identity = service.only_study()
    key = {"Idempotency-Key": "more"}
    first = _extend(service, identity, {"trials": 2}, **key).json()
    again = _extend(service, identity, {"trials": 2}, **key)
    assert (again.status_code, again.json()["extensions"]) == (200, 1)
    assert first["study"]["search"]["budget"]["trials"] == 9
    other = _extend(service, identity, {"trials": 5}, **key)
    assert other.status_code == 409
    assert "used for another extension" in other.json()["detail"]


@DONE
def test_the_key_that_submitted_a_study_still_finds_it_when_it_was_extended(
    service: Service,
) -> None:
    identity = service.only_study()
    headers = service.key("admin") | {"Idempotency-Key": "run-1"}
    made = service.client.post("/v1/studies", json=study(), headers=headers).json()["id"]
    service.work()
    assert _extend(service, made, {"trials": 1}).status_code == 200
    again = service.client.post("/v1/studies", json=study(), headers=headers)
    assert (again.status_code, again.json()["id"]) == (200, made)
    assert made != identity


@pytest.mark.parametrize("body", [{"trials": 1}, {"seeds": 3}])
def test_only_a_study_that_is_done_is_extended(service: Service, body: Any) -> None:
    identity = service.submit()
    assert _extend(service, identity, body).status_code == 409
    service.post(f"/v1/studies/{identity}/cancel")
    answer = _extend(service, identity, body)
    assert answer.status_code == 409
    assert answer.json()["hint"] == "only possible while done"


@DONE
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "trials = 0: extends nothing"),
        ({"trials": -1}, "trials = -1: must be at least 0"),
        ({"seeds": 2}, "seeds = 2: must be at least 3"),
        ({"trials": 100_000}, "trials = 100007: must be at most"),
        ({"trials": 1, "candidates": [[0] * 12, [1] * 12]}, "trials = 1: are fewer than"),
        ({"candidates": [[0] * 12] * 101}, "candidates = 101: are too many"),
        ({"candidates": [[0] * 11]}, "has 11 ranks for 12 layers"),
        ({"candidates": [[3] * 12]}, "rank_vector[0] = 3: not allowed"),
        ({"more": 1}, "unknown field"),
    ],
)
def test_what_extends_nothing_is_refused_and_changes_nothing(
    service: Service, body: Any, said: str
) -> None:
    identity = service.only_study()
    answer = _extend(service, identity, body)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    view = service.get(f"/v1/studies/{identity}")
    assert (view["state"], view["extensions"]) == ("done", 0)


@DONE
def test_a_study_is_not_extended_for_ever_nor_cancelled_once_it_is_done(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.studies.extension.MOST", 2)
    identity = service.only_study()
    cancel = f"/v1/studies/{identity}/cancel"
    assert service.post(cancel).status_code == 409
    for _ in range(2):
        assert _extend(service, identity, {"seeds": 3}).status_code == 200
        service.work()
        assert service.post(cancel).status_code == 409
    answer = _extend(service, identity, {"seeds": 3})
    assert answer.status_code == 409
    assert "extended 2 times" in answer.json()["detail"]
    assert service.get(f"/v1/studies/{identity}/verdict")["extensions"] == 2


def test_the_last_extension_on_as_few_seeds_as_may_be_still_has_an_interval() -> None:
    (look,) = plan_looks(3, 3, error_after(MOST))
    assert compare([0.03, 0.04, 0.05], look.confidence).ci_high < 10.0


def test_used_up_gpu_hours_allow_no_more_trials_but_fresh_seeds(service: Service) -> None:
    search = {**study()["search"]}
    search["budget"] = {"parameters": "uniform:2", "trials": 7, "gpu_hours": 1e-9}
    identity = _done(service, search=search)
    answer = _extend(service, identity, {"trials": 1})
    assert answer.status_code == 409
    assert "GPU hours" in answer.json()["detail"]
    assert _extend(service, identity, {"seeds": 3}).status_code == 200


@DONE
@ON_SQLITE
def test_a_restart_in_the_middle_of_an_extension_changes_no_proposal(service: Service) -> None:
    identity = service.only_study()
    _extend(service, identity, {"trials": 4})
    service.work(2)
    service.app.state.runtime.planning.close()
    again = start(service.directory)
    with again.client:
        again.work()
        view = again.get(f"/v1/studies/{identity}")
        assert view["state"] == StudyState.DONE
        assert view["progress"]["search"]["done"] == 11
        assert _mismatches(again, identity) == ()


def _cancel(service: Service, identity: str) -> Any:
    answer = service.post(f"/v1/studies/{identity}/cancel")
    assert answer.status_code == 200, answer.text
    return answer.json()


@DONE
@ON_BOTH
def test_a_study_whose_extension_is_cancelled_is_done_as_before(service: Service) -> None:
    identity = service.only_study()
    before = service.get(f"/v1/studies/{identity}")
    begun = _extend(service, identity, {"trials": 4}).json()
    assert begun["export_ready"]
    service.work(1)
    running = service.claim()
    view = _cancel(service, identity)
    assert (view["state"], view["stage"], view["extensions"]) == ("done", "done", 1)
    assert (view["verdict"], view["export_ready"]) == (before["verdict"], True)
    assert service.get(f"/v1/studies/{identity}/export")["files"]
    assert view["progress"]["search"] == {**before["progress"]["search"], "planned": 8, "done": 8}
    assert service.report(running, -2.0).status_code == 409
    assert _cancel(service, identity) == service.get(f"/v1/studies/{identity}")


@DONE
@pytest.mark.parametrize(
    ("directory", "change"),
    [("sqlite", "pause"), ("sqlite", None), ("postgresql", "pause")],  # nothing more is stored
    indirect=["directory"],
)
def test_an_extension_after_a_cancelled_one_has_trials_and_seeds_of_its_own(
    service: Service, change: str | None
) -> None:
    identity = service.only_study()
    _extend(service, identity, {"trials": 4, "candidates": [[0] * 11 + [8]]})
    service.work(1)
    service.claim()
    if change:
        service.post(f"/v1/studies/{identity}/{change}")
    _cancel(service, identity)
    view = _extend(service, identity, {"trials": 2}).json()
    assert view["study"]["search"]["budget"]["trials"] == 10
    trials = service.work()
    assert [trial["purpose"] for trial in trials].count("search") == 2
    verify = [trial["seed"] for trial in trials if trial["purpose"] == "verify"]
    assert verify[0] == FreshSeeds(0, looks=2).of(0)
    after = service.get(f"/v1/studies/{identity}")
    assert (after["state"], after["verdict"]["extensions"]) == ("done", 2)
    assert all(counts["planned"] == counts["done"] for counts in after["progress"].values())
    assert _mismatches(service, identity) == ()


@DONE
def test_a_cancelled_verification_is_not_gone_on_with(service: Service) -> None:
    identity = service.only_study()
    before = service.get(f"/v1/studies/{identity}/verdict")
    _extend(service, identity, {"seeds": 4})
    seen = {trial["seed"] for trial in service.work(3)}
    _cancel(service, identity)
    assert service.get(f"/v1/studies/{identity}/verdict") == before
    _extend(service, identity, {"seeds": 3})
    assert not seen & {trial["seed"] for trial in service.work()}
    view = service.get(f"/v1/studies/{identity}")
    assert (view["state"], view["verdict"]["extensions"]) == ("done", 2)


@DONE
def test_an_extension_that_failed_can_be_cancelled(service: Service) -> None:
    identity = service.only_study()
    before = service.get(f"/v1/studies/{identity}/verdict")
    _extend(service, identity, {"seeds": 3})
    service.work(measure=lambda _: None)
    assert service.get(f"/v1/studies/{identity}")["state"] == "failed"
    view = _cancel(service, identity)
    assert (view["state"], view["error"], view["verdict"]) == ("done", None, before)


@pytest.mark.parametrize(
    "is_said", [pytest.param(True, marks=DONE), pytest.param(False, marks=STATED)]
)
def test_what_was_measured_on_nobody_knows_what_is_said_in_the_next_verdict(
    service: Service, is_said: bool
) -> None:
    identity = service.only_study()
    assert "unstated" not in service.get(f"/v1/studies/{identity}/verdict")
    _extend(service, identity, {"seeds": 3})
    service.work()
    assert service.get(f"/v1/studies/{identity}/verdict").get("unstated", False) is is_said


def test_random_controls_follow_the_extended_search(service: Service) -> None:
    verify = {**study()["verify"], "random_control": True, "max_trials": 30}
    identity = _done(service, verify=verify)
    _extend(service, identity, {"trials": 2})
    purposes = [trial["purpose"] for trial in service.work()]
    assert purposes.count("control") == 2
