"""The pictures of the front and of the calibration, as data and on the page."""

from dataclasses import replace

import pytest

from rankspace import RankVector
from rankspace.calibration import Calibration, Predicted, Trust
from rankspace.front import Front, FrontPoint, Spot
from service.web.pages.charts import agreement, price
from service.web.pages.charts.axis import Axis
from tests.unit.service.driver import SEARCH, Service
from tests.waiting import wait_for


def test_an_axis_marks_round_values_and_may_run_backwards() -> None:
    axis = Axis(0.0, 12_800.0, 60.0, 600.0)
    assert [label for _, label in axis.ticks(6)] == [
        "0",
        "2,500",
        "5,000",
        "7,500",
        "10,000",
        "12,500",
    ]
    assert axis.position(12_800.0) == 600.0
    assert [label for _, label in Axis(-0.4, 8.4, 0.0, 100.0).ticks(whole=True)] == ["0", "5"]
    assert [label for _, label in Axis(-0.1, 1.1, 0.0, 100.0).ticks(whole=True)] == ["0", "1"]
    upwards = Axis(-2.44, -2.29, 300.0, 10.0)
    assert [label for _, label in upwards.ticks(4)] == ["-2.40", "-2.35", "-2.30"]
    assert upwards.position(-2.44) > upwards.position(-2.29)


@pytest.mark.parametrize("values", [[0.0], [-3.0, -3.0], [1e-9, 2e-9], [1e12, 3e12]])
def test_an_axis_spans_whatever_it_is_given(values: list[float]) -> None:
    axis = Axis.around(values, 0.0, 100.0)
    assert all(0.0 < axis.position(value) < 100.0 for value in values)
    assert len(axis.ticks()) >= 2


def calibration(*points: Predicted) -> Calibration:
    return Calibration(Trust.HOLDS, "", (), None, None, None, None, None, None, points)


def test_a_missed_interval_is_drawn_as_missed() -> None:
    found = agreement.agreement(
        calibration(Predicted(1, 0.0, 1.0, 1.2), Predicted(2, 0.0, 1.0, 1.4))
    )
    assert found is not None
    assert [mark.inside for mark in found.marks] == [True, False]
    first, second = found.marks
    assert second.y < first.y  # the higher score is higher up
    assert first.left < first.x < first.right
    assert agreement.agreement(calibration(Predicted(1, 0.0, 1.0, 1.2))) is None


def point(parameters: int, mean: float) -> FrontPoint:
    return FrontPoint(RankVector((parameters,)), parameters, mean, 0.1, None)


def test_the_front_is_drawn_within_its_frame() -> None:
    front = Front(
        points=(point(10, 1.0), point(20, 2.0)),
        uniform=point(20, 1.5),
        uniforms=(point(10, 0.5), point(20, 1.5)),
        cheapest=point(15, 1.6),
        verified=None,
        tried=(Spot(20, -4.0, 0.1, -4.1),),
        summary="",
    )
    found = price.price(front)
    assert found is not None
    positions = [(dot.x, dot.y) for dot in (*found.front, *found.uniforms)] + list(found.tried)
    assert all(price.LEFT <= x <= price.WIDTH for x, _ in positions)
    assert all(price.TOP <= y <= price.HEIGHT - price.BOTTOM for _, y in positions)
    assert found.cheapest is not None
    assert found.front[0].x < found.cheapest.x < found.front[1].x
    assert price.price(replace(front, points=front.points[:1])) is None
    assert price.price(None) is None


def test_the_tabs_show_both_once_there_is_something_to_show(service: Service) -> None:
    study = service.submit(search=SEARCH)
    code = service.post("/v1/login-codes").json()["code"]
    service.client.post("/login", data={"code": code})
    budget, model = f"/studies/{study}/budget", f"/studies/{study}/model"
    assert 'class="baseline"' not in service.client.get(budget).text
    service.work(16)
    wait_for(lambda: 'class="baseline"' in service.client.get(budget).text)
    wait_for(lambda: "Predicted and observed" in service.client.get(model).text)
    page = service.client.get(model).text
    assert page.count('class="inside"') + page.count('class="outside"') >= 12
    assert " style=" not in page
