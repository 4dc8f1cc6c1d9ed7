"""Matrices with fewer rows than the highest rank: what they get and cost, and who hears of it."""

from typing import Any

import pytest

from tests.unit.service.driver import Service, model, price, study

pytestmark = pytest.mark.slow

THIN, ROWS = 1, 3
"""The second matrix was left three rows."""


def _submit(service: Service, granularity: str) -> str:
    described = model()
    described["matrices"][THIN]["d_out"] = ROWS
    assert service.post("/v1/models", described).status_code == 201
    search = {**study()["search"], "granularity": granularity}
    search["budget"] = {"parameters": "uniform:8", "trials": 4}
    answer = service.post("/v1/studies", study(search=search))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _level(lease: Any) -> float:
    return -3.0 + 0.001 * float(sum(lease["rank_vector"]["ranks"]))


def test_uniform_ranks_spend_nothing_on_what_a_matrix_cannot_use(service: Service) -> None:
    identity = _submit(service, "module")
    lease = service.claim()
    ranks = [8] * 12
    ranks[THIN] = ROWS
    assert lease["rank_vector"]["ranks"] == ranks
    space = service.get(f"/v1/studies/{identity}/space")
    assert [*space["parts"]] == [space["layers"][THIN]["name"]]
    assert space["max_parameters"] == price(lease)
    service.report(lease, -2.5)
    service.work(measure=_level)
    view = service.get(f"/v1/studies/{identity}")
    assert view["state"] == "done"
    trials = service.get(f"/v1/studies/{identity}/trials")["items"]
    assert {trial["rank_vector"][THIN] for trial in trials} <= {0, 1, 2, ROWS}


def test_a_block_s_worker_is_told_the_rank_of_each_matrix(service: Service) -> None:
    identity = _submit(service, "block")
    lease = service.claim()
    names = [layer["name"] for layer in lease["layers"]]
    assert names[0] == "model.layers.0.self_attn.q_proj"
    assert names[-2:] == ["model.layers.1", "model.layers.2"]
    assert lease["rank_vector"]["ranks"] == [8, ROWS, 8, 8, 8, 8]
    assert service.report(lease, -2.5).json() == {"status": "accepted"}
    (trial, *_) = service.get(f"/v1/studies/{identity}/trials")["items"]
    assert trial["rank_vector"] == [8, 8, 8]
    assert trial["parameters"] == trial["measurement"]["parameters"] == price(lease)
    service.work(measure=_level)
    assert service.get(f"/v1/studies/{identity}")["state"] == "done"


def test_a_candidate_that_a_matrix_cannot_use_is_refused_with_its_name(service: Service) -> None:
    identity = _submit(service, "module")
    answer = service.post(f"/v1/studies/{identity}/trials", {"rank_vector": [4] * 12})
    assert answer.status_code == 422
    assert "v_proj, which can use no more than 3" in answer.json()["detail"]
