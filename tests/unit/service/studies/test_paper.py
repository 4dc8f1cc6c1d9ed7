"""A study with the preset ``paper``: expanded when it comes, and the same ever after."""

from dataclasses import replace
from typing import Any

import pytest

from rankspace.presets import paper
from rankspace.presets.paper import NEWEST, PRESETS
from tests.unit.service.driver import Service, model, study


def pruned() -> dict[str, Any]:
    """The first block is left whole, the others have a smaller FFN."""
    described = model()
    for matrix in described["matrices"]:
        if matrix["module"] == "down_proj" and matrix["block"] > 0:
            matrix["d_in"] = 16
    return described


def cut_everywhere(described: dict[str, Any] | None = None) -> dict[str, Any]:
    """The same with profiles, by which no block was left whole."""
    described = described or pruned()
    profile: dict[str, float | None] = {
        "depth": 0.0,
        "kept": 0.5,
        "input_norm": 1.0,
        "output_norm": 1.0,
    }
    profile |= {"gradient_norm": 0.1, "effective_rank": 0.5, "reconstruction_error": None}
    known = [{"name": matrix["name"], **profile} for matrix in described["matrices"]]
    return {**described, "profiles": known}


def whole_but_one(described: dict[str, Any]) -> dict[str, Any]:
    """The same with profiles, by which the last block alone was cut."""
    profiled = cut_everywhere(described)
    last = f"model.layers.{described['matrices'][-1]['block']}."
    for profile in profiled["profiles"]:
        profile["kept"] = 0.5 if profile["name"].startswith(last) else 1.0
    return profiled


def asked(**search: Any) -> dict[str, Any]:
    budget = {"parameters": "uniform:8", "trials": 7}
    return study(paper=True, search={"budget": budget, "trial": {"steps": 10}, **search})


@pytest.fixture
def ready(service: Service) -> Service:
    assert service.post("/v1/models", pruned()).status_code == 201
    return service


def test_it_is_stored_by_name_with_all_that_it_set(ready: Service) -> None:
    answer = ready.post("/v1/studies", asked())
    assert answer.status_code == 201, answer.text
    kept = ready.get(f"/v1/studies/{answer.json()['id']}")["study"]
    assert kept["paper"] == NEWEST
    assert kept["search"]["ranks"] == [2, 4, 6, 8, 10, 12]
    assert kept["search"]["granularity"] == "block"
    assert kept["search"]["strategy"] == "rankadaptor"
    assert kept["search"]["fixed"] == {"model.layers.0": 8}


def test_a_trial_has_one_rank_per_block_and_8_on_the_whole_one(ready: Service) -> None:
    assert ready.post("/v1/studies", asked()).status_code == 201
    for _ in range(3):
        ranks = ready.claim()["rank_vector"]["ranks"]
        assert ranks[0] == 8
        assert set(ranks) <= {2, 4, 6, 8, 10, 12}


def test_its_page_says_so(ready: Service) -> None:
    made = ready.client.post("/v1/login-codes", headers=ready.key("admin"))
    ready.client.post("/login", data={"code": made.json()["code"]})
    identity = ready.post("/v1/studies", asked()).json()["id"]
    page = ready.client.get(f"/studies/{identity}").text
    assert f"As in the RankAdaptor paper ({NEWEST})" in page
    assert "rank 8 on blocks 0, which are not searched" in page
    plain = ready.post("/v1/studies", study()).json()["id"]
    assert "RankAdaptor paper" not in ready.client.get(f"/studies/{plain}").text


def test_what_contradicts_it_is_refused(ready: Service) -> None:
    answer = ready.post("/v1/studies", asked(strategy="gp"))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("search.strategy = 'gp': paper sets it to")
    assert "leave paper out" in answer.json()["hint"]


def test_a_retry_is_the_same_study_whatever_preset_is_the_newest_by_then(
    ready: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/v1/studies"
    key = {"Idempotency-Key": "once", **ready.key("admin")}
    first = ready.client.post(path, json=asked(), headers=key)
    assert first.status_code == 201, first.text
    later = replace(PRESETS[NEWEST], ranks=(4, 8))
    monkeypatch.setattr(paper, "PRESETS", {**PRESETS, "later": later})
    monkeypatch.setattr(paper, "NEWEST", "later")
    again = ready.client.post(path, json=asked(), headers=key)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    spelt_out = ready.client.post(path, json=first.json()["study"], headers=key)
    assert (spelt_out.status_code, spelt_out.json()["id"]) == (200, first.json()["id"])
    new = ready.post("/v1/studies", asked()).json()["study"]
    assert (new["paper"], new["search"]["ranks"]) == ("later", [4, 8])


def test_a_clone_is_by_the_preset_of_its_original(
    ready: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = ready.post("/v1/studies", asked()).json()["id"]
    assert ready.post("/v1/models", cut_everywhere()).status_code == 200
    later = replace(PRESETS[NEWEST], ranks=(4, 8))
    monkeypatch.setattr(paper, "PRESETS", {**PRESETS, "later": later})
    monkeypatch.setattr(paper, "NEWEST", "later")
    copy = ready.post(f"/v1/studies/{identity}/clone", {"name": "copy"})
    assert copy.status_code == 201, copy.text
    original = ready.get(f"/v1/studies/{identity}")["study"]
    assert copy.json()["study"]["search"] == original["search"]
    assert copy.json()["study"]["paper"] == NEWEST


NAMED = {**asked(), "paper": NEWEST}


@pytest.mark.parametrize("body", [asked(), NAMED, asked(fixed={"model.layers.0": 8})])
@pytest.mark.parametrize("is_profiled", [False, True])
def test_a_retry_is_the_same_study_by_any_name_and_whatever_is_known_of_the_model_by_then(
    ready: Service, body: dict[str, Any], is_profiled: bool
) -> None:
    key = {"Idempotency-Key": "once", **ready.key("admin")}
    first = ready.client.post("/v1/studies", json=body, headers=key)
    assert first.status_code == 201, first.text
    if is_profiled:
        assert ready.post("/v1/models", cut_everywhere()).status_code == 200
    fresh = ready.post("/v1/studies", asked()).json()["study"]
    as_submit_sends_it = {**fresh, "inputs": body.get("inputs", {})}
    for again in (body, asked(), NAMED, first.json()["study"], as_submit_sends_it):
        answer = ready.client.post("/v1/studies", json=again, headers=key)
        assert (answer.status_code, answer.json().get("id")) == (200, first.json()["id"])
    other = {**first.json()["study"], "name": "other"}
    assert ready.client.post("/v1/studies", json=other, headers=key).status_code == 409


def test_a_retry_that_fixes_other_blocks_is_another_study(ready: Service) -> None:
    key = {"Idempotency-Key": "once", **ready.key("admin")}
    first = ready.client.post("/v1/studies", json=asked(), headers=key).json()["study"]
    other = {**first, "search": {**first["search"], "fixed": {"model.layers.1": 8}}}
    assert ready.client.post("/v1/studies", json=other, headers=key).status_code == 409


def test_a_clone_and_a_retry_fix_no_block_where_the_first_fixed_none(service: Service) -> None:
    key = {"Idempotency-Key": "once", **service.key("admin")}
    assert service.post("/v1/models", model()).status_code == 201
    first = service.client.post("/v1/studies", json=asked(), headers=key)
    assert first.json()["study"]["search"]["fixed"] == {}
    assert service.post("/v1/models", whole_but_one(model())).status_code == 200
    assert service.post("/v1/studies", asked()).json()["study"]["search"]["fixed"] != {}
    again = service.client.post("/v1/studies", json=asked(), headers=key)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    copy = service.post(f"/v1/studies/{first.json()['id']}/clone", {"name": "copy"})
    assert copy.json()["study"]["search"]["fixed"] == {}
