"""A page of a wide study is short, and the next one goes on where it ended."""

from typing import Any

import pytest

from rankspace import Layer, SearchSpace
from service.models import repository
from service.web.routers import shared
from service.web.routers.shared import PAGE_RANKS, fitting
from tests.unit.service.driver import ON_BOTH, Service, model


def _space(layers: int) -> SearchSpace:
    return SearchSpace(tuple(Layer(f"{at}", 1) for at in range(layers)), (0, 1), layers)


@pytest.mark.parametrize(
    ("layers", "asked", "shown"),
    [(128, 1000, 1000), (2000, 1000, PAGE_RANKS // 2000), (2000, 7, 7), (PAGE_RANKS + 1, 9, 1)],
)
def test_a_page_holds_so_many_ranks_and_at_least_one_trial(
    layers: int, asked: int, shown: int
) -> None:
    assert fitting(asked, _space(layers)) == shown


@ON_BOTH
@pytest.mark.parametrize("of", ["trials", "events"])
def test_short_pages_lead_to_all_there_is(
    service: Service, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    study = service.submit()
    service.work(3)
    assert service.post(f"/v1/studies/{study}/pause").status_code == 200  # nothing new comes
    path = f"/v1/studies/{study}/{of}"
    whole = service.get(path)
    assert whole["next"] is None
    monkeypatch.setattr(shared, "PAGE_RANKS", 25)  # of 12 layers
    found: list[Any] = []
    after: int | None = 0
    while after is not None:
        page = service.get(f"{path}?after={after}")
        assert 1 <= len(page["items"]) <= 2
        found, after = [*found, *page["items"]], page["next"]
    assert found == whole["items"]


def test_pages_of_large_models_are_short_and_lead_to_all_of_them(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(1, 6):
        described = {**model(at, path=f"/models/{at}"), "fingerprint": f"{at:064x}"}
        assert service.post("/v1/models", described).status_code == 201
    whole = service.get("/v1/models")
    assert (len(whole["items"]), whole["next"]) == (5, None)
    monkeypatch.setattr(repository, "PAGE_CHARACTERS", 1_000)
    found, pages = list[Any](), 0
    after: str | None = ""
    while after is not None:
        page = service.get(f"/v1/models?limit=4{after and f'&after={after}'}")
        assert page["items"]
        found, after, pages = [*found, *page["items"]], page["next"], pages + 1
    assert found == whole["items"]
    assert pages > 2
