"""What a submission may cost those who have nothing to do with it."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from rankspace.granularity import search_space
from rankspace.wire import encode, unpack
from service.planning.replay import replay
from service.planning.study_results import StudyResults
from service.storage.documents import Earlier, belief_of
from service.studies.repository import Studies
from tests.unit.service.driver import ON_BOTH, Service, model, study

SECONDS = 5.0

LONG = "x" * 513


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Has something done while the next study is checked."""

    def arrange(act: Callable[[], None]) -> None:
        def checking(*given: Any) -> Any:
            act()
            return search_space(*given)

        monkeypatch.setattr("service.studies.submission.search_space", checking)

    return arrange


@ON_BOTH
def test_others_write_while_a_study_is_checked(
    service: Service, meanwhile: Callable[[Callable[[], None]], None]
) -> None:
    written = threading.Event()

    def write() -> None:
        with service.app.state.runtime.database.writing():
            written.set()

    def look() -> None:
        threading.Thread(target=write, daemon=True).start()
        assert written.wait(SECONDS)

    meanwhile(look)
    service.submit()


@ON_BOTH
def test_a_model_that_changes_while_its_study_is_checked_makes_a_conflict(
    service: Service, meanwhile: Callable[[Callable[[], None]], None]
) -> None:
    assert service.post("/v1/models", model()).status_code == 201

    def move() -> None:
        assert service.post("/v1/models", model() | {"path": "/elsewhere"}).status_code == 200

    meanwhile(move)
    answer = service.post("/v1/studies", study())
    assert answer.status_code == 409
    assert "registered anew" in answer.json()["detail"]
    assert service.get("/v1/studies")["items"] == []


@ON_BOTH
def test_two_submissions_with_one_key_at_once_make_one_study(
    service: Service, meanwhile: Callable[[Callable[[], None]], None]
) -> None:
    headers = service.key("admin") | {"Idempotency-Key": "once"}
    assert service.post("/v1/models", model()).status_code == 201
    early: list[Any] = []

    def submitted() -> Any:
        return service.client.post("/v1/studies", json=study(), headers=headers)

    def overtake() -> None:
        if not early:
            early.append(None)  # it is checked as well, and overtaken by none
            early[0] = submitted()

    meanwhile(overtake)
    late = submitted()
    assert (early[0].status_code, late.status_code) == (201, 200)
    assert early[0].json()["id"] == late.json()["id"]


@pytest.mark.parametrize("field", ["name", "module"])
def test_names_of_a_model_s_matrices_are_capped(service: Service, field: str) -> None:
    described = model()
    described["matrices"][1][field] = LONG
    answer = service.post("/v1/models", described)
    assert answer.status_code == 422
    assert f"matrices[1].{field}" in answer.json()["detail"]
    assert len(answer.text) < 400


def test_a_matrix_that_comes_twice_is_refused(service: Service) -> None:
    described = model()
    described["matrices"].append(described["matrices"][0])
    answer = service.post("/v1/models", described)
    assert answer.status_code == 422
    assert f"matrices[{len(described['matrices']) - 1}].name" in answer.json()["detail"]


def profiled(described: dict[str, Any], *explained: list[float]) -> dict[str, Any]:
    """With profiles of its first matrices."""
    numbers = ("depth", "kept", "input_norm", "output_norm", "gradient_norm", "effective_rank")
    profile = {**dict.fromkeys(numbers, 1.0), "reconstruction_error": None}
    matrices = zip(described["matrices"], explained, strict=False)
    profiles = [profile | {"name": one["name"], "explained": known} for one, known in matrices]
    return described | {"profiles": profiles}


def test_names_of_profiles_are_capped(service: Service) -> None:
    described = profiled(model(), [])
    described["profiles"][0]["name"] = LONG
    answer = service.post("/v1/models", described)
    assert answer.status_code == 422
    assert "profiles[0].name" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("explained", "said"),
    [
        ([0.5, -0.1], "explained[1] = -0.1"),
        ([1.2], "explained[0] = 1.2"),
        ([0.3, 0.2, 0.3], "explained[2] = 0.3: is more than the one before, 0.2"),
        ([0.6, 0.6], "explained = 1.2: are more than the whole variance"),
    ],
)
def test_shares_that_are_none_are_refused(
    service: Service, explained: list[float], said: str
) -> None:
    answer = service.post("/v1/models", profiled(model(), [0.4, 0.0], explained))
    assert answer.status_code == 422
    assert f"profiles[1].{said}" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("blocks", "highest", "said"),
    [
        (3, 8, "--text FILE' with the options it was profiled with, on more than 8 tokens, and"),
        (3, 100, "--text FILE --components 100' with the options"),
        (300, 100, "search ranks to 32: "),
    ],
)
def test_evas_ranks_without_shares_are_refused_with_what_gives_them(
    service: Service, blocks: int, highest: int, said: str
) -> None:
    described = model(blocks)
    wide = [matrix | {"d_in": 128, "d_out": 128} for matrix in described["matrices"]]
    assert service.post("/v1/models", described | {"matrices": wide}).status_code == 201
    search = study()["search"] | {"ranks": [0, 1, 2, highest]}
    verify = study()["verify"] | {"controls": ["eva"]}
    answer = service.post("/v1/studies", study(search=search, verify=verify))
    assert answer.status_code == 422
    assert f"to rank {highest}" in answer.json()["detail"]
    assert said in answer.json()["hint"]
    assert ("register the model anew: POST /v1/models" in answer.json()["hint"]) == (blocks == 3)


def test_a_verification_of_very_many_candidates_is_refused(service: Service) -> None:
    assert service.post("/v1/models", model()).status_code == 201
    verify = {"candidates": 101, "seeds": 3, "max_trials": 100_000}
    answer = service.post("/v1/studies", study(verify=verify))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("verify.candidates = 101: are too many")


def _with_prior(prior: Any, **changes: Any) -> dict[str, Any]:
    return study(search={**study()["search"], "prior": prior, **changes})


def test_an_opinion_of_one_s_own_is_kept_as_numbers_and_by_its_name(service: Service) -> None:
    assert service.post("/v1/models", model()).status_code == 201
    names = [m["name"] for m in model()["matrices"]]
    worth = [float(index) for index in range(len(names))]
    body = _with_prior({"version": "mine-1", "log_worth": worth}, fixed={names[0]: 2})
    headers = service.key("admin") | {"Idempotency-Key": "once"}
    first = service.client.post("/v1/studies", json=body, headers=headers)
    assert first.status_code == 201, first.text
    assert first.json()["study"]["search"]["prior"] == "mine-1"
    again = service.client.post("/v1/studies", json=body, headers=headers)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    with service.app.state.runtime.database.reading() as session:
        belief = belief_of(Studies(session).get(first.json()["id"]).belief)
    assert belief is not None
    assert belief.prior == "mine-1"
    assert belief.log_worth[0] == 0.0  # fixed
    assert belief.log_worth[1:] == pytest.approx([w - 6.0 for w in worth[1:]])
    assert len(service.work(3)) == 3


@pytest.mark.parametrize(
    ("prior", "field", "fix"),
    [
        ("/home/me/prior.json", "search.prior", "name its file in a study file"),
        ("2026-01-31-abcdef", "search.prior", "name its file in a study file"),
        ({"version": "x", "log_worth": [0.0]}, "search.prior.log_worth", "submit the study file"),
        ({"version": "x\u202e", "log_worth": [0.0] * 12}, "search.prior.version", "leave it out"),
        ({"version": "none", "log_worth": [0.0] * 12}, "search.prior.version", "version"),
        ({"version": "x", "log_worth": [1e300] * 12}, "search.prior.log_worth[0]", "logarithms"),
        ({"version": "x"}, "search.prior.log_worth", "one of them"),
        (None, "search.prior", ""),
        (7, "search.prior", ""),
    ],
)
def test_an_opinion_that_cannot_be_is_refused(
    service: Service, prior: Any, field: str, fix: str
) -> None:
    assert service.post("/v1/models", model()).status_code == 201
    answer = service.post("/v1/studies", _with_prior(prior))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"{field} = ")
    assert fix in answer.json()["hint"]


def test_a_copy_begins_with_the_same_opinion(service: Service) -> None:
    assert service.post("/v1/models", model()).status_code == 201
    worth = [0.5 * (index % 3) for index in range(12)]
    body = _with_prior({"version": "mine-1", "log_worth": worth})
    first = service.post("/v1/studies", body).json()["id"]
    copy = service.post(f"/v1/studies/{first}/clone", {"seed": 3})
    assert copy.status_code == 201, copy.text
    assert copy.json()["study"]["search"]["prior"] == "mine-1"
    with service.app.state.runtime.database.reading() as session:
        rows = [Studies(session).get(one) for one in (first, copy.json()["id"])]
        said, again = (belief_of(row.belief) for row in rows)
    assert said is not None
    assert again is not None
    assert again.log_worth == pytest.approx(said.log_worth)


def _taught(layers: int = 12, rows: int = 9, **changes: Any) -> dict[str, Any]:
    vectors = [[(row + at) % 5 for at in range(layers)] for row in range(rows)]
    return {"vectors": vectors, "scores": [0.1 * row for row in range(rows)], **changes}


def _with_rows(strategy: str = "rankadaptor", **changes: Any) -> dict[str, Any]:
    prior = {"version": "rows-1", "taught": _taught(**changes)}
    return _with_prior(prior, strategy=strategy)


def test_rows_of_other_studies_are_learned_from_and_kept_by_their_name(service: Service) -> None:
    assert service.post("/v1/models", model()).status_code == 201
    headers = service.key("admin") | {"Idempotency-Key": "rows"}
    first = service.client.post("/v1/studies", json=_with_rows(), headers=headers)
    assert first.status_code == 201, first.text
    identity = first.json()["id"]
    assert first.json()["study"]["search"]["prior"] == "rows-1"
    again = service.client.post("/v1/studies", json=_with_rows(), headers=headers)
    assert (again.status_code, again.json()["id"]) == (200, identity)
    copy = service.post(f"/v1/studies/{identity}/clone", {"seed": 3})
    assert copy.status_code == 201, copy.text
    assert len(service.work(3)) == 3
    with service.app.state.runtime.database.reading() as session:
        for one in (identity, copy.json()["id"]):
            row = Studies(session).get(one)
            state = StudyResults.open(session, one).state
            assert encode(state.taught) == _taught()
            assert state.belief is None
            assert state.observations == ()
            assert unpack(Earlier, json.loads(row.earlier or "")) == Earlier(())  # as before it
        assert replay(session, identity) == ()


@pytest.mark.parametrize(
    ("body", "told", "fix"),
    [
        (
            _with_rows("additive"),
            "search.prior.taught = 9: strategy additive does not learn",
            "use strategy rankadaptor",
        ),
        (
            _with_rows(layers=11),
            "search.prior.taught.vectors = 9: have 11 ranks for 12 layers",
            "submit the study file anew",
        ),
        (
            _with_rows(scores=[0.0] * 7 + [1e308, 0.0]),
            "search.prior.taught.scores[7] = 1e+308: is not within 10 of 0",
            "standard deviations",
        ),
        (
            _with_rows(scores=[0.0]),
            "search.prior.taught.scores = 1: are not one for each of 9 vectors",
            "give one per vector",
        ),
        (
            _with_rows(vectors=[[0] * 12] * 8 + [[2**53] * 12]),
            "search.prior.taught.vectors[8] = ",
            "leave it out",
        ),
        (
            _with_rows(vectors=[[0] * 12] * 8 + [[0.5] * 12]),
            "search.prior.taught.vectors[8][0] = 0.5: must be a whole number",
            "whole number",
        ),
        (
            _with_rows(rows=1_001),
            "search.prior.taught.vectors = 1001: are too many on 12 layers",
            "use 1,000 or fewer",
        ),
        (
            _with_prior({"version": "rows-1"}, strategy="rankadaptor"),
            "search.prior.log_worth = []: is what an opinion has, or else taught",
            "give one of them",
        ),
    ],
)
def test_rows_that_cannot_be_are_refused(
    service: Service, body: dict[str, Any], told: str, fix: str
) -> None:
    assert service.post("/v1/models", model()).status_code == 201
    answer = service.post("/v1/studies", body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"].startswith(told)
    assert fix in answer.json()["hint"]
