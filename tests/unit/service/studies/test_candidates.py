"""A person's own rank vectors: once per key, and only while the study searches."""

from typing import Any

from tests.unit.service.driver import Service


def _try(service: Service, study: str, rank: int, key: str) -> Any:
    return service.client.post(
        f"/v1/studies/{study}/trials",
        json={"rank_vector": [rank] * 12},
        headers=service.key("admin") | {"Idempotency-Key": key},
    )


def test_a_key_queues_one_trial(service: Service) -> None:
    study = service.submit()
    first, again, other = (_try(service, study, 1, key) for key in ("a", "a", "b"))
    assert [answer.status_code for answer in (first, again, other)] == [201, 200, 201]
    assert again.json()["id"] == first.json()["id"]
    assert other.json()["seed"] == first.json()["seed"] + 1  # a repeat on purpose
    wrong = _try(service, study, 0, "a")
    assert wrong.status_code == 409
    assert "used for another rank vector" in wrong.json()["detail"]


def test_a_key_finds_its_trial_when_the_search_is_over(service: Service) -> None:
    study = service.submit()
    made = _try(service, study, 1, "a").json()
    service.post(f"/v1/studies/{study}/cancel")
    again = _try(service, study, 1, "a")
    assert (again.status_code, again.json()["id"]) == (200, made["id"])
    refused = _try(service, study, 1, "b")
    assert refused.status_code == 409
    assert "can be extended" in refused.json()["hint"]
