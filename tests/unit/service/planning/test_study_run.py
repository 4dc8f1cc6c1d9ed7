"""Whole studies, driven by a scripted worker with a synthetic score."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from perfmodel import another_vector
from perfmodel.evidence.fresh_seeds import FreshSeeds
from rankadaptor.rest.client import RestClient
from rankspace import RankVector
from rankspace.study import CHOOSING_SEEDS
from service.planning.replay import replay
from service.planning.searching import FUTILE, LOOK_AHEAD
from service.storage.tables import EventRow
from service.trials.repository import Trials
from tests.unit.service.beginnings import DONE, RECOVERING
from tests.unit.service.driver import (
    ON_BOTH,
    Service,
    holding,
    measurement,
    model,
    score,
    study,
)

pytestmark = pytest.mark.slow


def _mismatches(service: Service, identity: str) -> Any:
    with service.app.state.runtime.database.reading() as session:
        return replay(session, identity)


@ON_BOTH
def test_a_study_with_a_real_effect_ends_better_with_an_export(service: Service) -> None:
    identity = service.submit()
    adapter = b"weights"  # what the scripted worker uploads
    purposes: list[str] = []
    while lease := service.claim():
        purposes.append(lease["purpose"])
        service.report(lease, score(lease))
    service.sweep()
    view = service.get(f"/v1/studies/{identity}")
    assert view["state"] == "done"
    assert purposes.count("search") == 7
    assert purposes[-1] == "recover"
    assert view["verdict"]["answer"] == "better"
    assert view["verdict"] == service.get(f"/v1/studies/{identity}/verdict")
    assert view["best"]["score"] > view["uniform_score"]
    assert view["export_ready"]
    export = service.get(f"/v1/studies/{identity}/export")
    (file,), (model,) = export["files"], service.get("/v1/models")["items"]
    assert file["bytes"] == len(adapter)
    assert export["model"] == model["model"]["fingerprint"]
    path = f"/v1/studies/{identity}/export/{file['name']}"
    assert service.client.get(path, headers=service.key("admin")).content == adapter
    assert _mismatches(service, identity) == ()


@DONE
def test_the_python_client_downloads_the_export(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = service.only_study()
    service.client.headers.update(service.key("admin"))
    with RestClient("http://testserver", "unused") as client:
        client.close()
        monkeypatch.setattr(client, "_http", service.client)
        adapter = client.export(identity, tmp_path / "adapter")
        assert adapter.rank_vector == client.verdict(identity).recovered
    (file,) = adapter.paths
    assert file.read_bytes() == b"weights"


def test_verification_uses_fresh_seeds_and_the_final_split(service: Service) -> None:
    service.submit()
    trials = service.work()
    search = {t["seed"] for t in trials if t["purpose"] == "search"}
    verify = [t for t in trials if t["purpose"] == "verify"]
    recover = trials[-1]
    fresh = FreshSeeds(0)
    seeds = list(dict.fromkeys(t["seed"] for t in verify))
    assert seeds == [fresh.of(number) for number in range(len(seeds))]
    assert max(search) < min(seeds)
    choosing = set(seeds[:CHOOSING_SEEDS])
    assert {t["split"] for t in verify if t["seed"] in choosing} == {"selection"}
    assert {t["split"] for t in verify if t["seed"] not in choosing} == {"final"}
    assert recover["seed"] not in {t["seed"] for t in verify}
    assert (recover["steps"], recover["keep_adapter"]) == (20, True)


def test_a_verification_that_began_before_seeds_were_hashed_goes_on_with_its_own(
    service: Service,
) -> None:
    """As the version before left it: with arms, without controls, its seeds counted up."""
    identity = service.submit()
    service.work(7)
    service.sweep()
    with service.app.state.runtime.database.writing() as session:
        session.execute(text("UPDATE studies SET controls = NULL"))
        session.execute(text("UPDATE trials SET state = 'cancelled' WHERE purpose = 'verify'"))
    service.sweep()
    trials = service.work()
    counted = FreshSeeds(0, counted=True)
    seeds = list(dict.fromkeys(t["seed"] for t in trials if t["purpose"] == "verify"))
    assert seeds == [counted.of(number) for number in range(len(seeds))]
    assert service.get(f"/v1/studies/{identity}")["state"] == "done"


def test_the_first_trial_is_uniform_and_all_share_the_seed(service: Service) -> None:
    search = study()["search"] | {"seed": 41}
    service.submit(search=search)
    trials = service.work(7)
    assert trials[0]["rank_vector"]["ranks"] == [2] * 12
    assert {t["seed"] for t in trials} == {41}
    vectors = [tuple(t["rank_vector"]["ranks"]) for t in trials]
    assert len(set(vectors)) == 7


def test_no_effect_is_not_sold_as_one(service: Service) -> None:
    """Uniform is the optimum: every other vector scores lower."""
    identity = service.submit()
    service.work(
        measure=lambda lease: (
            -sum(abs(rank - 2) for rank in lease["rank_vector"]["ranks"]) * 0.01
            + 0.02 * (lease["seed"] % 3)
            - 3.0
        )
    )
    view = service.get(f"/v1/studies/{identity}")
    assert view["state"] == "done"
    assert view["verdict"]["answer"] != "better"
    assert view["verdict"]["cheapest_rank_vector"]["ranks"] == [2] * 12


def test_a_search_of_failed_trials_fails_with_the_reason(service: Service) -> None:
    search = {**study()["search"], "budget": {"parameters": "uniform:2", "trials": 3}}
    identity = service.submit(search=search)
    assert len(service.work(measure=lambda _: None)) == 3
    view = service.get(f"/v1/studies/{identity}")
    assert view["state"] == "failed"
    assert "the loss is NaN" in view["error"]


@RECOVERING
def test_a_failed_recovery_fails_the_study_and_resume_tries_again(service: Service) -> None:
    identity = service.only_study()
    service.work(measure=lambda _: None)
    view = service.get(f"/v1/studies/{identity}")
    assert (view["state"], view["stage"]) == ("failed", "recovering")
    assert "the loss is NaN" in view["error"]
    assert service.post(f"/v1/studies/{identity}/resume").json()["state"] == "recovering"
    (again,) = service.work()
    assert again["purpose"] == "recover"
    assert service.get(f"/v1/studies/{identity}")["state"] == "done"


def test_controls_and_rates_are_run_told_and_counted(service: Service) -> None:
    verify = {**study()["verify"], "controls": ["down_proj"], "rates": [0.5, 1, 3]}
    identity = service.submit(verify=verify)
    trials = service.work(7)
    first = trials[0]["recipe"]["optimizer"]["learning_rate"]
    planned = service.get(f"/v1/studies/{identity}")["progress"]["verify"]["planned"]
    trials = service.work()
    verifying = [t for t in trials if t["purpose"] == "verify"]
    rates = [t["recipe"]["optimizer"]["learning_rate"] / first for t in verifying]
    assert [rates.count(rate) for rate in (0.5, 3.0)] == [2, 2]
    assert {t["seed"] for t, rate in zip(verifying, rates, strict=True) if rate != 1.0} <= {
        t["seed"] for t, rate in zip(verifying, rates, strict=True) if rate == 1.0
    }
    view = service.get(f"/v1/studies/{identity}")
    assert view["progress"]["verify"]["done"] == len(verifying) >= planned - 3
    (control,) = view["verdict"]["controls"]
    assert (control["name"], control["comparison"]["seeds"]) == ("down_proj", 3)
    assert [point["rate"] for point in view["verdict"]["rates"]["points"]] == [0.5, 1.0, 3.0]
    assert view["verdict"] == service.get(f"/v1/studies/{identity}/verdict")
    with service.app.state.runtime.database.reading() as session:
        stored = session.execute(text("SELECT verdict, answer FROM studies")).one()
        kept = session.execute(text("SELECT noise FROM trials WHERE purpose = 'search'")).scalars()
        assert any(noise is not None for noise in kept)
    assert "controls" not in json.loads(stored.verdict)
    assert "controls" in json.loads(stored.answer)


def test_evas_ranks_are_run_and_called_ranks_only(service: Service) -> None:
    numbers = dict.fromkeys(("depth", "kept", "input_norm", "output_norm"), 0.5)
    profiles = [
        {"name": matrix["name"], **numbers, "gradient_norm": 0.1, "effective_rank": 0.5}
        | {"explained": [0.01 / (1 + at)] * 64}
        for at, matrix in enumerate(model()["matrices"])
    ]
    assert service.post("/v1/models", {**model(), "profiles": profiles}).status_code == 201
    verify = {**study()["verify"], "controls": ["eva"]}
    identity = service.post("/v1/studies", study(verify=verify)).json()["id"]
    trials = service.work()
    (control,) = service.get(f"/v1/studies/{identity}")["verdict"]["controls"]
    assert control["name"] == "eva (its ranks, not its initialisation)"
    assert control["comparison"]["seeds"] == 3
    assert control["rank_vector"]["ranks"] == [8, 8, 8, 1] + [0] * 8
    run = [t["rank_vector"]["ranks"] for t in trials if t["purpose"] == "verify"]
    assert run.count(control["rank_vector"]["ranks"]) == 3


@pytest.mark.parametrize(
    ("verify", "named"),
    [
        ({"controls": ["largest-gradient"]}, "verify.controls[0]"),
        ({"controls": ["down_proj", "eva"]}, "verify.controls[1]"),
        ({"controls": ["down_proj", "down_proj"]}, "verify.controls"),
        ({"rates": [0.0]}, "verify.rates[0]"),
        ({"rates": [1e308]}, "verify.rates[0]"),
        ({"rates": [3, 3]}, "verify.rates"),
        ({"margin": 1e308}, "verify.margin"),
        ({"least_gain": -1.0}, "verify.least_gain"),
    ],
)
def test_what_cannot_be_verified_is_said_at_submission(
    service: Service, verify: dict[str, Any], named: str
) -> None:
    service.submit()
    answer = service.post("/v1/studies", study(verify={**study()["verify"], **verify}))
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"].startswith(named)
    assert answer.json()["hint"]


def test_random_control_runs_as_many_random_vectors(service: Service) -> None:
    verify = {"candidates": 1, "seeds": 3, "max_trials": 30, "random_control": True}
    identity = service.submit(verify=verify)
    trials = service.work()
    purposes = [t["purpose"] for t in trials]
    assert purposes.count("control") == purposes.count("search") == 7
    assert "control" in purposes[:4]  # side by side, not afterwards
    assert service.get(f"/v1/studies/{identity}")["verdict"]["versus_random"] is not None
    assert _mismatches(service, identity) == ()
    controls = [tuple(t["rank_vector"]["ranks"]) for t in trials if t["purpose"] == "control"]
    assert len(set(controls)) == 7


def test_random_control_is_drawn_trial_by_trial(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[RankVector | None] = []

    def counted(*given: Any) -> RankVector | None:
        drawn.append(another_vector(*given))
        return drawn[-1]

    monkeypatch.setattr("perfmodel.another_vector", counted)
    verify = {"candidates": 1, "seeds": 3, "max_trials": 30, "random_control": True}
    search = study()["search"] | {"budget": {"parameters": "uniform:2", "trials": 100_000}}
    service.submit(verify=verify, search=search)
    service.work(6)
    assert 0 < len(drawn) <= 6


def test_gpu_hours_end_the_search_early(service: Service) -> None:
    search = study()["search"]
    search["budget"] = {"parameters": "uniform:2", "trials": 8, "gpu_hours": 1e-9}
    identity = service.submit(search=search)
    trials = service.work()
    assert [t["purpose"] for t in trials].count("search") == 1
    progress = service.get(f"/v1/studies/{identity}")["progress"]
    assert (progress["search"]["planned"], progress["search"]["queued"]) == (1, 0)


def test_one_offer_per_active_worker(service: Service) -> None:
    identity = service.submit()
    leases = [service.claim(f"w{index}") for index in range(3)]
    service.report(leases[0], score(leases[0]), worker="w0")
    service.sweep()
    progress = service.get(f"/v1/studies/{identity}")["progress"]["search"]
    assert (progress["queued"], progress["running"], progress["done"]) == (3, 2, 1)


def test_offers_never_exceed_the_budget(service: Service) -> None:
    service.submit()
    leases = [service.claim(f"w{index}") for index in range(12)]
    assert sum(lease is not None for lease in leases) == 7


def test_offers_are_made_anew_in_place(service: Service) -> None:
    identity = service.submit()
    service.claim("w2")
    service.work(6)
    trials = service.get(f"/v1/studies/{identity}/trials")["items"]
    events = service.get(f"/v1/studies/{identity}/events?limit=1000")["items"]
    offered = [o for e in events if e["kind"] == "proposed" for o in e["content"]["offers"]]
    assert len(offered) > len(trials)
    last = {offer["trial"]: offer["rank_vector"] for offer in offered}
    assert all(trial["rank_vector"] == last[trial["id"]] for trial in trials)


def test_own_candidate_is_measured_first_and_learned_from(service: Service) -> None:
    identity = service.submit()
    vector = [0, 4, 0, 2] * 3
    answer = service.post(f"/v1/studies/{identity}/trials", {"rank_vector": vector})
    assert answer.status_code == 201, answer.text
    trials = service.work(8)
    service.sweep()
    assert trials[0]["rank_vector"]["ranks"] == vector
    assert [t["purpose"] for t in trials] == 7 * ["search"] + ["verify"]
    assert _mismatches(service, identity) == ()
    late = service.post(f"/v1/studies/{identity}/trials", {"rank_vector": vector})
    assert late.status_code == 409


def test_replay_finds_a_planted_mismatch(service: Service) -> None:
    identity = service.submit()
    service.work(5)
    assert _mismatches(service, identity) == ()
    with service.app.state.runtime.database.writing() as session:
        changed = session.execute(
            text("UPDATE observations SET score = score WHERE sequence = 2 RETURNING trial_id")
        )
        trial = changed.scalar_one()
        done = (EventRow.kind == "done") & (EventRow.trial_id == trial)
        event = session.scalars(select(EventRow).where(done)).one()
        event.content = {**event.content, "score": -9.0}
    assert _mismatches(service, identity) != ()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_not_finite_is_refused(service: Service, value: float) -> None:
    service.submit()
    lease = service.claim()
    body = {
        **holding(lease),
        "outcome": "done",
        "measurement": measurement(value, lease),
    }
    path = f"/v1/leases/{lease['trial_id']}/report"
    answer = service.client.post(path, content=json.dumps(body), headers=service.key("worker"))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("measurement.score")
    assert service.report(lease, None).json() == {"status": "accepted"}


def test_a_study_whose_first_trials_all_fail_does_not_burn_its_budget(service: Service) -> None:
    identity = service.submit()
    assert len(service.work(measure=lambda _: None)) == FUTILE
    view = service.get(f"/v1/studies/{identity}")
    assert view["state"] == "failed"
    assert "the last one: the loss is NaN" in view["error"]
    assert service.post(f"/v1/studies/{identity}/resume").status_code == 200
    assert [trial["purpose"] for trial in service.work(3)] == ["search", "search", "verify"]
    assert service.get(f"/v1/studies/{identity}")["state"] == "verifying"


def _plain(trials: Any) -> set[tuple[tuple[int, ...], int]]:
    return {(tuple(trial["rank_vector"]["ranks"]), trial["seed"]) for trial in trials}


def test_one_broken_worker_does_not_give_a_study_up_while_another_trains(service: Service) -> None:
    identity = service.submit()
    good = service.claim("w1")
    failed = []
    while lease := service.claim("broken"):
        failed.append(lease)
        service.report(lease, None, worker="broken")
    assert len(failed) == FUTILE
    assert service.get(f"/v1/studies/{identity}")["state"] == "searching"
    assert service.report(good, score(good)).json() == {"status": "accepted"}
    assert service.claim("w1")["purpose"] == "search"


def test_giving_up_takes_back_offers_and_never_a_person_s_candidate(service: Service) -> None:
    search = study()["search"] | {"budget": {"parameters": "uniform:2", "trials": 12}}
    identity = service.submit(search=search)
    service.work(FUTILE - 1, measure=lambda _: None)
    last = service.claim()
    vector = [1] * 12
    added = service.post(f"/v1/studies/{identity}/trials", {"rank_vector": vector}).json()["id"]
    service.report(last, None)
    service.sweep()
    assert service.get(f"/v1/studies/{identity}")["state"] == "failed"
    trials = {trial["id"] for trial in service.get(f"/v1/studies/{identity}/trials")["items"]}
    assert added in trials
    events = service.get(f"/v1/studies/{identity}/events?limit=1000")["items"]
    withdrawn = {t for e in events if e["kind"] == "withdrawn" for t in e["content"]["trials"]}
    assert withdrawn
    assert not withdrawn & trials


@ON_BOTH
def test_withdrawing_deletes_only_what_is_an_offer(service: Service) -> None:
    identity = service.submit()
    claimed = service.claim()["trial_id"]
    vector = [0, 4, 0, 2] * 3
    own = service.post(f"/v1/studies/{identity}/trials", {"rank_vector": vector}).json()["id"]
    offers = [
        trial["id"]
        for trial in service.get(f"/v1/studies/{identity}/trials")["items"]
        if trial["offer"]
    ]
    with service.app.state.runtime.database.writing() as session:
        assert Trials(session).withdraw([claimed, own, *offers, 999]) == tuple(offers)


def test_no_vector_runs_twice_with_one_seed(service: Service) -> None:
    """Own candidates meet open offers, and in so small a space the controls meet both."""
    search = study()["search"] | {"ranks": [0, 2, 4], "granularity": "block"}
    verify = {"candidates": 1, "seeds": 3, "max_trials": 30, "random_control": True}
    identity = service.submit(search=search, verify=verify)
    for trial in service.get(f"/v1/studies/{identity}/trials")["items"]:
        vector = {"rank_vector": trial["rank_vector"]}
        assert service.post(f"/v1/studies/{identity}/trials", vector).status_code == 201
    ran = service.work(measure=lambda lease: 0.01 * sum(lease["rank_vector"]["ranks"]) - 3.0)
    trials = [trial for trial in ran if trial["purpose"] in ("search", "control")]
    assert len(_plain(trials)) == len(trials) == 14


def test_own_candidates_never_push_the_search_over_its_budget(service: Service) -> None:
    """Nobody plans here: what is withdrawn is withdrawn in the same transaction."""
    identity = service.submit()
    taken = [service.claim(f"w{index}") for index in range(4)]
    service.report(taken.pop(), -2.5, worker="w3")
    service.app.state.runtime.planning.close()
    service.post(f"/v1/studies/{identity}/pause")
    for _ in range(3):
        path = f"/v1/studies/{identity}/trials"
        assert service.post(path, {"rank_vector": [1] * 12}).status_code == 201
    assert service.post(f"/v1/studies/{identity}/resume").status_code == 200
    leases = [service.claim(f"x{index}") for index in range(9)]
    assert sum(lease is not None for lease in leases) == 3


def test_a_resume_that_can_only_fail_again_says_what_to_do(service: Service) -> None:
    search = study()["search"] | {"budget": {"parameters": "uniform:2", "trials": 3}}
    identity = service.submit(search=search)
    service.work(measure=lambda _: None)
    answer = service.post(f"/v1/studies/{identity}/resume")
    assert (answer.status_code, answer.json()["error"]) == (409, "Conflict")
    assert "submit a new study" in answer.json()["hint"]
    assert service.get(f"/v1/studies/{identity}")["state"] == "failed"


def test_offers_are_few_however_many_workers_wait(service: Service) -> None:
    search = study()["search"] | {"budget": {"parameters": "uniform:2", "trials": 30}}
    identity = service.submit(search=search)
    leases = [service.claim(f"w{index}") for index in range(9)]
    assert all(leases)
    service.report(leases[0], score(leases[0]), worker="w0")
    service.sweep()
    assert service.get(f"/v1/studies/{identity}")["progress"]["search"]["queued"] == LOOK_AHEAD
    assert _mismatches(service, identity) == ()
