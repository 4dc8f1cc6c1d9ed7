"""Verdicts at the whole recipe: pairs of full recoveries, judged, told and exported."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from perfmodel.evidence.fresh_seeds import FreshSeeds
from rankspace.lease import Claim
from rankspace.wire import encode
from service.planning.replay import replay
from tests.unit.service.driver import ON_BOTH, Service, holding, score, study

pytestmark = pytest.mark.slow

AT_RECIPE = {**study()["verify"], "at": "recipe", "recipe_seeds": 3}
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
        value = measure(lease)
        if lease["keep_adapter"] and value is not None:
            service.upload(lease, str(lease["trial_id"]).encode())
        answer = service.report(lease, value, upload=False)
        assert answer.json() == {"status": "accepted"}, answer.text
        done.append(lease)
    return done


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


def test_by_default_the_winner_is_recovered_once_and_nothing_is_judged(service: Service) -> None:
    identity = service.submit()
    (only,) = _recoveries(service.work())
    assert (only["seed"], only["keep_adapter"], "texts" in only) == (FIRST, True, False)
    assert "recipe" not in service.get(f"/v1/studies/{identity}")["verdict"]


@ON_BOTH
def test_a_gain_that_does_not_last_exports_uniform_without_another_training(
    service: Service,
) -> None:
    identity = service.submit(verify=AT_RECIPE)
    ran = _recoveries(_work(service, _recovering(_lost)))
    verdict = service.get(f"/v1/studies/{identity}/verdict")
    assert (verdict["answer"], verdict["recipe"]["comparison"]["answer"]) == ("better", "worse")
    assert len(ran) == 7
    assert _exported(service, identity) == ran[1]["trial_id"]
    assert _ranks(ran[1]) == UNIFORM
    page = _page(service, identity)
    assert page.index("does not last the whole recipe") < page.index("are better than uniform")
    assert "uniform, recovered" in page


def test_a_diverging_uniform_leaves_the_recipe_open_and_the_study_done(service: Service) -> None:
    identity = service.submit(verify=AT_RECIPE)
    _work(service, _recovering(lambda one: None if _ranks(one) == UNIFORM else score(one)))
    view = service.get(f"/v1/studies/{identity}")
    assert view["state"] == "done"
    assert view["verdict"]["recipe"]["comparison"] is None
    assert [one["uniform"] for one in view["verdict"]["recipe"]["pairs"]] == 3 * [None]
    assert view["progress"]["recover"]["failed"] == 3
    assert view["export_ready"]


def test_a_winner_that_diverges_on_the_kept_seed_is_recovered_on_one_that_scored(
    service: Service,
) -> None:
    identity = service.submit(verify=AT_RECIPE)

    def measure(one: Any) -> float | None:
        is_kept = one["keep_adapter"] and one["seed"] == FIRST and _ranks(one) != UNIFORM
        return None if is_kept else score(one)

    ran = _recoveries(_work(service, _recovering(measure)))
    assert len(ran) == 8
    last = ran[-1]
    assert (last["keep_adapter"], last["seed"]) == (True, FreshSeeds(0).recovery(1))
    view = service.get(f"/v1/studies/{identity}")
    assert view["state"] == "done"
    assert view["verdict"]["recipe"]["comparison"]["failed"] == 1
    assert _exported(service, identity) == last["trial_id"]


def test_a_winner_that_never_recovers_fails_the_study_which_tells_and_can_be_resumed(
    service: Service,
) -> None:
    identity = service.submit(verify=AT_RECIPE)
    _work(service, _recovering(lambda one: score(one) if _ranks(one) == UNIFORM else None))
    view = service.get(f"/v1/studies/{identity}")
    assert (view["state"], view["stage"]) == ("failed", "recovering")
    assert "the loss is NaN" in view["error"]
    assert view["verdict"]["recipe"]["comparison"] is None
    service.post(f"/v1/studies/{identity}/resume")
    (again,) = _work(service, score)
    assert (again["keep_adapter"], _ranks(again) == UNIFORM) == (True, False)
    assert service.get(f"/v1/studies/{identity}")["state"] == "done"


def test_a_recovery_survives_its_worker_and_the_service(service: Service) -> None:
    """Its worker dies in the middle of the first pair; what runs is queued again, and fenced."""
    identity = service.submit(verify=AT_RECIPE)
    while (lease := service.claim()) and lease["purpose"] != "recover":
        service.report(lease, score(lease))
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


def test_a_worker_of_an_older_protocol_recovers_and_tells_no_texts(service: Service) -> None:
    service.submit(verify=AT_RECIPE)
    while (lease := service.claim()) and lease["purpose"] != "recover":
        service.report(lease, score(lease))
    service.post(f"/v1/leases/{lease['trial_id']}/release", holding(lease), "worker")
    answer = service.post("/v1/leases?wait=0", encode(Claim("old", 3)), "worker")
    assert answer.status_code == 201, answer.text
    assert answer.json()["purpose"] == "recover"
    assert "texts" not in answer.json()


def test_cancelled_between_the_recoveries_it_says_that_the_recipe_was_not_judged(
    service: Service,
) -> None:
    identity = service.submit(verify=AT_RECIPE)
    while (lease := service.claim()) and lease["purpose"] != "recover":
        service.report(lease, score(lease))
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


def test_an_extension_judges_the_recipe_anew_on_seeds_of_its_own(service: Service) -> None:
    identity = service.submit(verify=AT_RECIPE)
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
