"""Verdicts at the whole recipe: pairs of full recoveries, judged, told and exported."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sqlalchemy import text

from perfmodel.evidence.fresh_seeds import FreshSeeds
from perfmodel.evidence.looks import error_after
from rankspace.lease import Claim
from rankspace.wire import encode
from service.planning.recovering import TRIES
from service.planning.replay import replay
from tests.unit.service.beginnings import AT_RECIPE, PAIRS, RECOVERING
from tests.unit.service.driver import ON_BOTH, Service, score, study

pytestmark = pytest.mark.slow

UNIFORM, NOTHING = [2] * 12, [0] * 12
FIRST = FreshSeeds(0).recovery(0)


def _ranks(lease: Any) -> Any:
    return lease["rank_vector"]["ranks"]


def _recoveries(trials: Any) -> list[Any]:
    return [one for one in trials if one["purpose"] == "recover"]


def _recovering(change: Callable[[Any], float | None]) -> Callable[[Any], float | None]:
    """Score as ever, but the full recoveries of vectors with adapters otherwise."""
    return lambda lease: (
        change(lease) if lease["purpose"] == "recover" and any(_ranks(lease)) else score(lease)
    )


def _lost(lease: Any) -> float:
    """The searched ranks end worse than uniform ones, by a little more or less on each seed."""
    is_uniform = _ranks(lease) == UNIFORM
    return -2.0 if is_uniform else -2.5 - 0.001 * (lease["seed"] % 5)


def _exported(service: Service, identity: str) -> int:
    """The trial whose adapter is the export, by the weights that were uploaded."""
    path = f"/v1/studies/{identity}/export/adapter_model.safetensors"
    content = service.client.get(path, headers=service.key("admin")).content
    return int(content)


def _page(service: Service, identity: str) -> str:
    made = service.client.post("/v1/login-codes", headers=service.key("admin"))
    service.client.post("/login", data={"code": made.json()["code"]})
    return service.client.get(f"/studies/{identity}").text


def _work(
    service: Service, measure: Callable[[Any], float | None], trials: int = 1_000
) -> list[Any]:
    """As ``Service.work``; each adapter says which trial it is of."""
    done: list[Any] = []
    while len(done) < trials and (lease := service.claim()):
        _report(service, lease, measure)
        done.append(lease)
    return done


def _report(service: Service, lease: Any, measure: Callable[[Any], float | None] = score) -> None:
    value = measure(lease)
    if lease["keep_adapter"] and value is not None:
        service.upload(lease, str(lease["trial_id"]).encode())
    answer = service.report(lease, value, upload=False)
    assert answer.json() == {"status": "accepted"}, answer.text


@ON_BOTH
def test_winner_and_uniform_are_recovered_in_pairs_and_judged(service: Service) -> None:
    identity = service.submit(verify=AT_RECIPE)
    assert service.get(f"/v1/studies/{identity}")["progress"]["recover"]["planned"] == 7
    ran = _recoveries(_work(service, score))
    view = service.get(f"/v1/studies/{identity}")
    verdict, recipe = view["verdict"], view["verdict"]["recipe"]
    winner = verdict["best_rank_vector"]["ranks"]
    seeds = [FreshSeeds(0).recovery(number) for number in range(3)]
    assert [(_ranks(one), one["seed"]) for one in ran] == [
        *((vector, seed) for seed in seeds for vector in (winner, UNIFORM)),
        (NOTHING, FIRST),
    ]
    assert {one["steps"] for one in ran} == {20}
    assert {(one["split"], one["texts"]) for one in ran} == {("final", True)}
    assert [one["keep_adapter"] for one in ran] == [True, True] + 5 * [False]
    assert (view["state"], verdict["answer"], recipe["comparison"]["seeds"]) == (
        "done",
        "better",
        3,
    )
    assert recipe["comparison"]["answer"] == "better"
    gains = [one["winner"] - one["uniform"] for one in recipe["pairs"]]
    assert recipe["comparison"]["gain"] == pytest.approx(sum(gains) / 3)
    assert recipe["pruned_score"] == pytest.approx(score(ran[-1]))
    assert verdict == service.get(f"/v1/studies/{identity}/verdict")
    assert view["progress"]["recover"] == {
        "planned": 7,
        "queued": 0,
        "running": 0,
        "done": 7,
        "failed": 0,
    }
    assert _exported(service, identity) == ran[0]["trial_id"]
    with service.app.state.runtime.database.reading() as session:
        assert replay(session, identity) == ()
        plain = session.execute(text("SELECT verdict FROM studies")).scalar_one()
    assert '"recipe"' not in str(plain)  # a service of before reads it


@RECOVERING
def test_by_default_the_winner_is_recovered_once_and_nothing_is_judged(service: Service) -> None:
    identity = service.only_study()
    (only,) = _recoveries(service.work())
    assert (only["seed"], only["keep_adapter"], "texts" in only) == (FIRST, True, False)
    assert "recipe" not in service.get(f"/v1/studies/{identity}")["verdict"]


@PAIRS
def test_a_gain_that_does_not_last_exports_uniform_without_another_training(
    service: Service,
) -> None:
    identity = service.only_study()
    ran = _recoveries(_work(service, _recovering(_lost)))
    verdict = service.get(f"/v1/studies/{identity}/verdict")
    assert (verdict["answer"], verdict["recipe"]["comparison"]["answer"]) == ("better", "worse")
    assert len(ran) == 7
    assert _exported(service, identity) == ran[1]["trial_id"]
    assert _ranks(ran[1]) == UNIFORM
    page = _page(service, identity)
    assert page.index("does not last the whole recipe") < page.index("are better than uniform")
    assert "uniform, recovered" in page


@PAIRS
def test_a_diverging_uniform_leaves_the_recipe_open_and_the_study_done(service: Service) -> None:
    identity = service.only_study()
    _work(service, _recovering(lambda one: None if _ranks(one) == UNIFORM else score(one)))
    view = service.get(f"/v1/studies/{identity}")
    assert view["state"] == "done"
    assert view["verdict"]["recipe"]["comparison"] is None
    assert [one["uniform"] for one in view["verdict"]["recipe"]["pairs"]] == 3 * [None]
    assert view["progress"]["recover"]["failed"] == 3
    assert view["export_ready"]


def test_the_least_relevant_gain_is_asked_of_the_recipe_too(service: Service) -> None:
    identity = service.submit(verify={**AT_RECIPE, "least_gain": 1.0})
    _work(service, score)
    found = service.get(f"/v1/studies/{identity}/verdict")["recipe"]["comparison"]
    assert (found["least_gain"], found["answer"]) == (1.0, "no difference shown")
    assert found["ci_low"] > 0


@PAIRS
def test_a_winner_that_diverges_on_the_kept_seed_is_recovered_on_one_that_scored(
    service: Service,
) -> None:
    identity = service.only_study()

    def measure(one: Any) -> float | None:
        is_kept = one["keep_adapter"] and one["seed"] == FIRST and _ranks(one) != UNIFORM
        is_again = one["keep_adapter"] and one["seed"] != FIRST
        return None if is_kept else score(one) - is_again

    ran = _recoveries(_work(service, _recovering(measure)))
    assert len(ran) == 8
    last = ran[-1]
    assert (last["keep_adapter"], last["seed"]) == (True, FreshSeeds(0).recovery(1))
    view = service.get(f"/v1/studies/{identity}")
    assert view["state"] == "done"
    recipe = view["verdict"]["recipe"]
    assert recipe["comparison"]["failed"] == 1
    assert recipe["pairs"][0]["winner"] is None
    assert recipe["pairs"][1]["winner"] == pytest.approx(score(last))  # of its first run
    assert _exported(service, identity) == last["trial_id"]


@PAIRS
def test_a_winner_that_never_recovers_fails_the_study_which_tells_and_can_be_resumed(
    service: Service,
) -> None:
    identity = service.only_study()
    _work(service, _recovering(lambda one: score(one) if _ranks(one) == UNIFORM else None))
    view = service.get(f"/v1/studies/{identity}")
    assert (view["state"], view["stage"]) == ("failed", "recovering")
    assert "the loss is NaN" in view["error"]
    assert "full recovery of the winner failed" in view["error"]
    assert view["verdict"]["recipe"]["comparison"] is None
    assert not view["export_ready"]  # uniform's is not what the verdict stands for
    fresh = FreshSeeds(0).recovery(4)
    for number in (3, 4):  # the seeds of the pairs would diverge once more
        service.post(f"/v1/studies/{identity}/resume")
        (again,) = _work(service, lambda one: score(one) if one["seed"] == fresh else None)
        assert (again["keep_adapter"], _ranks(again) == UNIFORM) == (True, False)
        assert again["seed"] == FreshSeeds(0).recovery(number)
    view = service.get(f"/v1/studies/{identity}")
    assert view["state"] == "done"
    assert view["verdict"]["recipe"]["pairs"][0]["winner"] is None
    export = service.get(f"/v1/studies/{identity}/export")
    assert export["trial"] == again["trial_id"]
    assert export["rank_vector"] == view["verdict"]["best_rank_vector"]


@PAIRS
@pytest.mark.parametrize(("deaths", "lost"), [(TRIES - 1, 0), (TRIES, 1)])
def test_a_recovery_that_dies_is_run_again_on_its_seed_as_often_as_may_be(
    service: Service, deaths: int, lost: int
) -> None:
    identity = service.only_study()
    lease = service.claim()
    dying, trials = _ranks(lease), set[int]()
    while lease:
        is_it = lease["seed"] == FIRST and _ranks(lease) == dying
        if is_it and len(trials | {lease["trial_id"]}) <= deaths:
            trials.add(lease["trial_id"])
            service.let_leases_run_out()
            service.sweep()
        else:
            _report(service, lease)
        lease = service.claim()
    view = service.get(f"/v1/studies/{identity}")
    assert (view["state"], view["progress"]["recover"]["failed"]) == ("done", deaths)
    assert view["verdict"]["recipe"]["comparison"]["failed"] == lost
    assert view["export_ready"]


@PAIRS
def test_a_recovery_survives_its_worker_and_the_service(service: Service) -> None:
    """Its worker dies in the middle of the first pair; what runs is queued again, and fenced."""
    identity = service.only_study()
    lease = service.claim()
    service.let_leases_run_out()
    service.sweep()
    again = service.claim("w2")
    assert (again["trial_id"], again["token"] > lease["token"]) == (lease["trial_id"], True)
    late = service.report(lease, score(lease), upload=False)
    assert late.status_code == 409
    service.upload(again, str(again["trial_id"]).encode(), worker="w2")
    assert service.report(again, score(again), upload=False, worker="w2").status_code == 200
    _work(service, score)
    view = service.get(f"/v1/studies/{identity}")
    assert view["verdict"]["recipe"]["comparison"]["seeds"] == 3
    assert _exported(service, identity) == again["trial_id"]


@PAIRS
def test_a_worker_of_an_older_protocol_recovers_and_tells_no_texts(service: Service) -> None:
    answer = service.post("/v1/leases?wait=0", encode(Claim("old", 3)), "worker")
    assert answer.status_code == 201, answer.text
    assert answer.json()["purpose"] == "recover"
    assert "texts" not in answer.json()


@PAIRS
def test_cancelled_between_the_recoveries_it_says_that_the_recipe_was_not_judged(
    service: Service,
) -> None:
    identity = service.only_study()
    lease = service.claim()
    service.report(lease, score(lease))
    view = service.get(f"/v1/studies/{identity}")
    assert (view["state"], view["progress"]["recover"]["done"]) == ("recovering", 1)
    assert view["eta_seconds"] > view["before_recovery_seconds"]
    page = _page(service, identity)
    assert "still to be judged" in page
    service.post(f"/v1/studies/{identity}/cancel")
    assert service.claim() is None
    page = _page(service, identity)
    assert "ended before the whole recipe was judged" in page


@PAIRS
def test_what_is_not_what_the_verdict_stands_for_is_never_exported(service: Service) -> None:
    """Uniform's recovery ends before that of the winner, which then never does."""
    identity = service.only_study()
    service.claim()
    other = service.claim("w2")
    assert (_ranks(other), other["keep_adapter"]) == (UNIFORM, True)
    service.upload(other, b"uniform", worker="w2")
    service.report(other, score(other), upload=False, worker="w2")
    path = f"/v1/studies/{identity}"
    assert not service.get(path)["export_ready"]
    service.post(f"{path}/cancel")
    assert not service.get(path)["export_ready"]
    answer = service.client.get(f"{path}/export", headers=service.key("admin"))
    assert answer.status_code == 409


def test_a_winner_that_is_uniform_itself_plans_one_recovery(service: Service) -> None:
    search = {**study()["search"], "strategy": "uniform"}
    identity = service.submit(verify=AT_RECIPE, search=search)
    while (lease := service.claim()) and lease["purpose"] != "recover":
        is_uniform = _ranks(lease) == UNIFORM
        service.report(lease, -2.0 - (not is_uniform) + 0.01 * (lease["seed"] % 7))
    view = service.get(f"/v1/studies/{identity}")
    assert view["verdict"]["best_rank_vector"]["ranks"] == UNIFORM
    assert view["progress"]["recover"]["planned"] == 1


def _lose_after_all(service: Service) -> tuple[str, Any, int]:
    """A study that is done: better in the trials, worse after the whole recipe."""
    identity = service.only_study()
    _work(service, _recovering(_lost))
    first = service.get(f"/v1/studies/{identity}/verdict")
    return identity, first, _exported(service, identity)


@PAIRS
def test_the_answer_of_before_stands_until_the_recipe_is_judged_anew(service: Service) -> None:
    identity, first, exported = _lose_after_all(service)
    path = f"/v1/studies/{identity}"
    service.post(f"{path}/extend", {"seeds": 3})
    while (lease := service.claim()) and lease["purpose"] != "recover":
        service.report(lease, score(lease))
    _report(service, lease)  # the winner's adapter is there, too
    view = service.get(path)
    assert (view["state"], view["verdict"]) == ("recovering", first)
    assert _exported(service, identity) == exported
    service.post(f"{path}/cancel")
    view = service.get(path)
    assert (view["state"], view["verdict"]) == ("done", first)
    assert _exported(service, identity) == exported


@PAIRS
def test_an_extension_whose_recovery_fails_leaves_the_answer_of_before(service: Service) -> None:
    identity, first, _ = _lose_after_all(service)
    path = f"/v1/studies/{identity}"
    service.post(f"{path}/extend", {"seeds": 3})
    _work(service, _recovering(lambda one: score(one) if _ranks(one) == UNIFORM else None))
    view = service.get(path)
    assert (view["state"], view["verdict"]) == ("failed", first)
    assert service.get(f"{path}/export")["rank_vector"]["ranks"] == UNIFORM
    service.post(f"{path}/resume")
    (again,) = _work(service, score)
    view = service.get(path)
    assert (view["state"], view["verdict"]["extensions"]) == ("done", 1)
    assert view["verdict"]["recipe"]["comparison"] is None
    assert _exported(service, identity) == again["trial_id"]


@PAIRS
def test_an_extension_judges_the_recipe_anew_on_seeds_of_its_own(service: Service) -> None:
    identity = service.only_study()
    _work(service, score)
    first = service.get(f"/v1/studies/{identity}/verdict")
    answer = service.post(f"/v1/studies/{identity}/extend", {"seeds": 3})
    assert answer.status_code == 200, answer.text
    ran = _recoveries(_work(service, score))
    view = service.get(f"/v1/studies/{identity}")
    seeds = {FreshSeeds(0, looks=1).recovery(number) for number in range(3)}
    assert {one["seed"] for one in ran} == seeds
    assert view["progress"]["recover"]["planned"] == view["progress"]["recover"]["done"] == 14
    again, before = view["verdict"]["recipe"], first["recipe"]
    assert {one["seed"] for one in again["pairs"]} == seeds
    assert again["pairs"] != before["pairs"]
    assert view["verdict"]["extensions"] == 1
    gains = [one["winner"] - one["uniform"] for one in again["pairs"]]
    sure = 1.0 - error_after(1)
    interval = stats.t.interval(sure, 2, np.mean(gains), stats.sem(gains))
    found = again["comparison"]
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(interval)
    assert _exported(service, identity) == ran[0]["trial_id"]


def test_a_copy_and_the_stored_study_ask_for_the_same(service: Service) -> None:
    identity = service.submit(verify={**AT_RECIPE, "recipe_seeds": 4})
    copy = service.post(f"/v1/studies/{identity}/clone", {"name": "copy"}).json()
    for one in (identity, copy["id"]):
        verify = service.get(f"/v1/studies/{one}")["study"]["verify"]
        assert (verify["at"], verify["recipe_seeds"]) == ("recipe", 4)


@pytest.mark.parametrize(
    ("verify", "named"),
    [
        ({"recipe_seeds": 2}, "verify.recipe_seeds"),
        ({"recipe_seeds": 51}, "verify.recipe_seeds"),
        ({"at": "end"}, "verify.at"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    service: Service, verify: dict[str, Any], named: str
) -> None:
    service.submit()
    answer = service.post("/v1/studies", study(verify={**AT_RECIPE, **verify}))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(named)
