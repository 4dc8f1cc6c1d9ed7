"""A study that begins with another one's results, and one that is another one's copy."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from perfmodel.evidence.fresh_seeds import FreshSeeds
from rankspace import Observation
from rankspace.recipe import UNSTATED_READING, Inputs
from service.planning.replay import replay
from service.planning.study_results import StudyResults
from service.storage.documents import belief_of, study_of
from service.storage.older_form import write_older
from service.studies.repository import Studies
from tests.unit.service.beginnings import INPUTS, STATED
from tests.unit.service.driver import ON_BOTH, Service, model, score, start, study

pytestmark = pytest.mark.slow


def _origin(service: Service, **changes: Any) -> str:
    """A study that says what it is measured on."""
    return service.submit(inputs=INPUTS, **changes)


def _begin(service: Service, origin: str, role: str = "admin", **changes: Any) -> Any:
    return service.post(f"/v1/studies?from={origin}", study(**changes), role)


def _mismatches(service: Service, identity: str) -> Any:
    with service.app.state.runtime.database.reading() as session:
        return replay(session, identity)


def _begins_with(service: Service, identity: str) -> Sequence[Observation]:
    with service.app.state.runtime.database.reading() as session:
        return StudyResults.open(session, identity).state.observations


def _search(**changes: Any) -> dict[str, Any]:
    return {**study()["search"], **changes}


@ON_BOTH
def test_the_results_of_another_study_are_learned_and_its_vectors_not_run_again(
    service: Service,
) -> None:
    first = _origin(service)
    before = {tuple(t["rank_vector"]["ranks"]) for t in service.work() if t["purpose"] == "search"}
    answer = _begin(service, first)
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert view["origin"] == first
    assert view["progress"]["search"]["done"] == 0
    trials = service.work()
    after = [tuple(t["rank_vector"]["ranks"]) for t in trials if t["purpose"] == "search"]
    assert len(after) == 7
    assert not before & {*after}
    done = service.get(f"/v1/studies/{view['id']}")
    assert (done["state"], done["verdict"]["trials"]) == ("done", 7)
    assert _mismatches(service, view["id"]) == ()


@STATED
def test_what_a_study_began_with_outlives_its_origin_and_a_restart(service: Service) -> None:
    first = service.only_study()
    second = _begin(service, first).json()["id"]
    path, admin = f"/v1/studies/{first}", service.key("admin")
    assert service.client.delete(path, headers=admin).status_code == 204
    service.work(3)
    service.app.state.runtime.planning.close()
    again = start(service.directory)
    with again.client:
        again.work()
        assert again.get(f"/v1/studies/{second}")["state"] == "done"
        assert _mismatches(again, second) == ()


@STATED
def test_a_third_study_begins_with_the_results_of_both(service: Service) -> None:
    first = service.only_study()
    second = _begin(service, first).json()["id"]
    service.work()
    third = _begin(service, second).json()["id"]
    seen = _begins_with(service, third)
    assert len(seen) == 14


@STATED
def test_another_budget_and_strategy_may_begin_with_the_results(service: Service) -> None:
    first = service.only_study()
    more = _search(budget={"parameters": "uniform:4", "trials": 3}, strategy="swap")
    assert _begin(service, first, search=more, name="other").status_code == 201


@STATED
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"recipe": {**study()["recipe"], "optimizer": {"learning_rate": 0.01}}},
            "recipe.optimizer.learning_rate is 0.0001 there and 0.01 here",
        ),
        (
            {"recipe": {**study()["recipe"], "data": {"train": "other.jsonl"}}},
            "recipe.data.train is 'train.jsonl' there and 'other.jsonl' here",
        ),
        (
            {"recipe": {**study()["recipe"], "modules": ["q_proj"]}},
            "recipe.modules is",
        ),
        ({"search": _search(trial={"steps": 11})}, "search.trial.steps is 10 there and 11 here"),
        ({"search": _search(granularity="block")}, "search.granularity is 'module' there"),
        ({"search": _search(seed=5)}, "search.seed is 0 there and 5 here"),
        ({"inputs": {"data": "c" * 64}}, f"inputs.data is {'a' * 12}… there and {'c' * 12}… here"),
    ],
)
def test_results_that_were_measured_otherwise_are_refused_and_how(
    service: Service, changes: Any, said: str
) -> None:
    first = service.only_study()
    answer = _begin(service, first, **changes)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"from = '{first}': its results were measured")
    assert said in answer.json()["detail"]
    assert len(service.get("/v1/studies")["items"]) == 1


def test_results_that_nobody_stated_the_data_of_are_refused(service: Service) -> None:
    first = service.submit(inputs={"data": "a" * 64})
    service.work(2)
    answer = _begin(service, first, inputs=INPUTS)
    assert answer.status_code == 422
    assert "nobody stated its inputs.tokenizer" in answer.json()["detail"]


@STATED
@pytest.mark.parametrize("known", [{}, {"data": "a" * 64}, INPUTS])
def test_a_study_that_begins_with_results_is_measured_on_their_inputs(
    service: Service, known: Any
) -> None:
    first = service.only_study()
    headers = service.key("admin") | {"Idempotency-Key": "once"}
    path, body = f"/v1/studies?from={first}", study(inputs=known)
    answers = [service.client.post(path, json=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json()["study"]["inputs"] == {**INPUTS, "reading": UNSTATED_READING}


def _trials(service: Service, identity: str) -> Sequence[Any]:
    trials: Sequence[Any] = service.get(f"/v1/studies/{identity}/trials?limit=1000")["items"]
    return trials


def _verified(trials: Sequence[Any]) -> set[int]:
    return {trial["seed"] for trial in trials if trial["purpose"] == "verify"}


@STATED
def test_one_more_answer_to_the_same_results_rests_on_fresh_seeds_and_says_so(
    service: Service,
) -> None:
    first = service.only_study()
    seen = _verified(_trials(service, first))
    path = f"/v1/studies/{first}/clone"
    for looks in (1, 2):
        origin = path.split("/")[3]
        clone = service.post(path, {"results": True}).json()["id"]
        seeds = _verified(service.work())
        assert seeds
        assert not seeds & seen
        seen |= seeds
        verdict = service.get(f"/v1/studies/{clone}/verdict")
        assert (verdict["looks_before"], verdict["earlier"]) == (looks, 7 * looks), origin
        path = f"/v1/studies/{clone}/clone"


@STATED
def test_an_extension_after_answers_elsewhere_counts_them(service: Service) -> None:
    first = service.only_study()
    seen = _verified(_trials(service, first))
    second = _begin(service, first).json()["id"]
    seen |= _verified(service.work())
    assert service.post(f"/v1/studies/{second}/extend", {"seeds": 3}).is_success
    seeds = _verified(service.work())
    assert not seeds & seen
    assert FreshSeeds(0, looks=2).of(0) in seeds
    verdict = service.get(f"/v1/studies/{second}/verdict")
    assert (verdict["looks_before"], verdict["extensions"]) == (1, 1)


@pytest.mark.parametrize(("is_cancelled", "looks"), [(True, 0), (False, 1)])
def test_results_that_got_no_answer_and_never_will_are_one_look_less(
    service: Service, is_cancelled: bool, looks: int
) -> None:
    first = _origin(service)
    service.work(2)
    if is_cancelled:
        assert service.post(f"/v1/studies/{first}/cancel").is_success
    second = _begin(service, first).json()["id"]
    service.work()
    assert service.get(f"/v1/studies/{second}/verdict").get("looks_before", 0) == looks


@STATED
def test_results_do_not_get_answers_for_ever(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.studies.origin.MOST", 1)
    monkeypatch.setattr("service.studies.extension.MOST", 1)
    first = service.only_study()
    second = _begin(service, first).json()["id"]
    service.work()
    refused = _begin(service, second)
    assert refused.status_code == 422
    assert "its results have 2 answers" in refused.json()["detail"]
    refused = service.post(f"/v1/studies/{second}/extend", {"seeds": 3})
    assert refused.status_code == 409
    assert "results that have 1 answers elsewhere" in refused.json()["detail"]


@STATED
def test_results_of_another_model_are_refused(service: Service) -> None:
    first = service.only_study()
    assert service.post("/v1/models", model(3, "/other") | {"fingerprint": "f" * 64}).is_success
    answer = _begin(service, first, model="/other")
    assert answer.status_code == 422
    assert "its model has other weights" in answer.json()["detail"]


def test_only_who_may_see_a_study_may_begin_with_it(service: Service) -> None:
    theirs = service.submit("theirs", inputs=INPUTS)
    service.work(2)
    service.submit("ours")
    member = service.issue("member", "ours")
    path = f"/v1/studies?from={theirs}"
    answer = service.client.post(path, json=study(), headers=member)
    assert answer.status_code == 404
    unknown = service.client.post("/v1/studies?from=st_aaaaaaaaaa", json=study(), headers=member)
    assert unknown.text.replace("st_aaaaaaaaaa", theirs) == answer.text


@STATED
def test_a_key_starts_one_study_from_one_origin(service: Service) -> None:
    first = service.only_study()
    headers = service.key("admin") | {"Idempotency-Key": "run-2"}
    path = f"/v1/studies?from={first}"
    answers = [service.client.post(path, json=study(), headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert service.client.post("/v1/studies", json=study(), headers=headers).status_code == 409


@STATED
def test_results_with_other_ranks_on_fixed_layers_say_nothing_here(service: Service) -> None:
    first = service.only_study()
    second = _begin(service, first, search=_search(fixed={"*.q_proj": 2}))
    assert second.status_code == 201
    seen = _begins_with(service, second.json()["id"])
    kept = [one.rank_vector.ranks[::4] for one in seen]
    assert kept
    assert {*kept} == {(2, 2, 2)}
    answer = _begin(service, first, search=_search(fixed={"*.q_proj": 7}))
    assert answer.status_code == 422
    assert "none of its results has the ranks" in answer.json()["detail"]


def test_a_study_without_results_is_no_beginning(service: Service) -> None:
    first = _origin(service)
    answer = _begin(service, first)
    assert answer.status_code == 422
    assert "has no results yet" in answer.json()["detail"]


def test_a_failed_trial_is_handed_on_as_failed(service: Service) -> None:
    first = _origin(service)
    service.work(
        4, measure=lambda lease: None if max(lease["rank_vector"]["ranks"]) > 4 else score(lease)
    )
    second = _begin(service, first).json()["id"]
    seen = _begins_with(service, second)
    results = service.get(f"/v1/studies/{first}")["progress"]["search"]
    scored = sum(one.score is not None for one in seen)
    assert (scored, len(seen)) == (results["done"], 4)


@ON_BOTH
def test_a_clone_is_the_same_study_but_for_what_is_asked(service: Service) -> None:
    first = service.submit("ours", name="one")
    path = f"/v1/studies/{first}/clone"
    made = service.post(path, {"name": "two", "trials": 3, "seed": 9})
    assert made.status_code == 201, made.text
    copy, original = made.json(), service.get(f"/v1/studies/{first}")
    assert made.headers["Location"] == f"/v1/studies/{copy['id']}"
    assert (copy["project"], copy["name"], copy["origin"]) == ("ours", "two", None)
    expected = original["study"]
    expected["name"], expected["search"]["seed"] = "two", 9
    expected["search"]["budget"]["trials"] = 3
    assert copy["study"] == expected


def _copy(service: Service, of: str, key: str, **body: Any) -> Any:
    headers = service.key("admin") | {"Idempotency-Key": key}
    return service.client.post(f"/v1/studies/{of}/clone", json=body, headers=headers)


@ON_BOTH
def test_a_key_clones_once_whatever_becomes_of_the_original(service: Service) -> None:
    first, other = _origin(service), _origin(service)
    service.work()
    made = _copy(service, first, "copy", trials=3)
    assert made.status_code == 201, made.text
    assert service.post(f"/v1/studies/{first}/extend", {"trials": 2}).is_success
    again = _copy(service, first, "copy", trials=3)
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    for of, asked in ((first, {"trials": 4}), (other, {"trials": 3})):
        refused = _copy(service, of, "copy", **asked)
        assert refused.status_code == 409
        assert "used for another study" in refused.json()["detail"]


def test_a_key_that_submitted_a_study_clones_none(service: Service) -> None:
    first = _origin(service)
    headers = service.key("admin") | {"Idempotency-Key": "run"}
    assert service.client.post("/v1/studies", json=study(), headers=headers).status_code == 201
    assert _copy(service, first, "run").status_code == 409


def test_a_clone_has_the_prior_of_its_own_that_the_study_had(service: Service) -> None:
    worth = [float(index) for index in range(12)]
    own = _search(prior={"version": "mine-1", "log_worth": worth})
    first = _origin(service, search=own)
    service.work(3)
    copies = [first]
    for body in ({}, {"results": True}):
        answer = service.post(f"/v1/studies/{first}/clone", body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["study"]["search"]["prior"] == "mine-1"
        copies.append(answer.json()["id"])
    with service.app.state.runtime.database.reading() as session:
        beliefs = [belief_of(Studies(session).get(copy).belief) for copy in copies]
    known = [belief.log_worth for belief in beliefs if belief]
    assert len(known) == 3
    assert known[1] == known[2] == pytest.approx(known[0])
    assert known[0][-1] - known[0][0] == pytest.approx(11.0)


@STATED
def test_a_clone_may_begin_with_the_results(service: Service) -> None:
    first = service.only_study()
    made = service.post(f"/v1/studies/{first}/clone", {"results": True}).json()
    assert made["origin"] == first


def test_a_clone_is_of_the_model_the_study_had(service: Service) -> None:
    first = _origin(service)
    service.post("/v1/models", model(path="/moved"))
    assert service.post("/v1/models", model() | {"fingerprint": "f" * 64}).status_code == 201
    made = service.post(f"/v1/studies/{first}/clone", {"seed": 1}).json()
    leases = [service.claim(f"w{at}") for at in range(4)]
    paths = {lease["study_id"]: lease["model_path"] for lease in leases if lease}
    assert paths[made["id"]] == "/moved"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"trials": 0}, "trials = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"name": " "}, "name = ' '"),
        ({"steps": 3}, "steps = 3: unknown field"),
    ],
)
def test_a_clone_of_what_no_study_can_be_is_refused(service: Service, body: Any, said: str) -> None:
    first = _origin(service)
    answer = service.post(f"/v1/studies/{first}/clone", body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(said)


def test_results_of_before_stay_with_what_they_were_read_by(service: Service) -> None:
    """Nobody had said how: a study of today would have gone on with them on another split."""
    first = _origin(service)
    service.work(1)
    with service.app.state.runtime.database.writing() as session:
        row = Studies(session).locked(first)  # as a service of before left it
        before = replace(study_of(row), inputs=Inputs(INPUTS["data"], INPUTS["tokenizer"]))
        row.request, row.document = None, write_older(before)
    refused = _begin(service, first, inputs={"reading": 2})
    assert "inputs.reading is 1 there and 2 here" in refused.json()["detail"]
    begun = _begin(service, first)
    assert begun.json()["study"]["inputs"]["reading"] == UNSTATED_READING


def test_a_clone_without_results_is_read_as_today(service: Service) -> None:
    first = service.submit(inputs={"data": INPUTS["data"], "reading": 1})
    clone = service.post(f"/v1/studies/{first}/clone", {})
    known = {"data": INPUTS["data"], "tokenizer": None, "reading": None}
    assert clone.json()["study"]["inputs"] == known
