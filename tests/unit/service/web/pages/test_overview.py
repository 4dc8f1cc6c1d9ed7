"""The overview: what a study may claim, seed by seed, and what to do next."""

import re

import pytest

from rankspace import Comparison, Verdict
from rankspace.verdict import Answer
from rankspace.wire import decode
from service.storage.documents import verdict_of
from service.studies.repository import Studies
from service.web.pages.charts.curve import Tried, curve
from service.web.pages.charts.pairs import LEFT, RIGHT, WIDTH, strips
from service.web.pages.study.judged import judged_strips
from tests.unit.service.web.pages.conftest import Shown


def _comparison(gain: float, least: float = 0.0) -> Comparison:
    return Comparison(gain, gain - 0.1, gain + 0.1, 3, Answer.BETTER, least_gain=least)


def test_every_strip_has_the_same_axis_and_zero_is_on_it() -> None:
    pairs = [(7, 0.4), (8, 0.5), (9, 0.5001)]
    first, second = strips([("one", _comparison(0.5, 0.1), pairs), ("two", _comparison(-3.0), ())])
    assert first.zero == second.zero
    assert first.ticks == second.ticks
    assert first.low < first.gain < first.high
    assert all(LEFT <= at <= WIDTH - RIGHT for at in (first.zero, second.low, first.high))
    assert first.least is not None
    assert first.zero < first.least < first.gain
    assert second.least is None
    xs, ys = [dot[0] for dot in first.dots], [dot[1] for dot in first.dots]
    assert xs == sorted(xs)
    assert ys[1] != ys[2]  # seeds that agree are seen as two
    assert first.dots[0][2] == "seed 7: +0.4000"


def test_the_dots_of_a_verdict_come_to_its_mean(shown: Shown) -> None:
    runtime = shown.service.app.state.runtime
    with runtime.database.reading() as session:
        row = Studies(session).get(shown.done)
        verdict = verdict_of(row.verdict, row.answer)
        assert verdict is not None
        found = judged_strips(session, row, verdict)
    told = decode(Verdict, shown.service.get(f"/v1/studies/{shown.done}/verdict"))
    differences = [float(dot[2].rpartition(" ")[2]) for dot in found[0].dots]
    assert len(differences) == told.versus_uniform.seeds
    mean = sum(differences) / len(differences)
    assert mean == pytest.approx(told.versus_uniform.gain, abs=1e-4)
    page = shown.text(f"/studies/{shown.done}")
    assert page.count('class="seed"') == len(differences)
    assert "against uniform ranks: better" in page


def test_what_is_ready_can_be_downloaded_with_the_session(shown: Shown) -> None:
    page = shown.text(f"/studies/{shown.done}", "viewer")
    (address,) = re.findall(r'href="\.\./(v1/studies/\w+/export/adapter_model.safetensors)"', page)
    file = shown.get(f"/{address}", "viewer")
    assert (file.status_code, file.content) == (200, b"weights")
    assert f"rankadaptor export {shown.done} --to adapter" in page


def test_a_study_says_what_it_waits_for(shown: Shown) -> None:
    study = shown.service.submit()
    said = {
        "": "Nothing: it goes on by itself",
        "pause": f"rankadaptor resume {study}",
        "cancel": "It was cancelled",
    }
    for action, words in said.items():
        if action:
            shown.service.post(f"/v1/studies/{study}/{action}")
        assert words in shown.text(f"/studies/{study}")


def test_the_curve_rises_and_has_uniform_s_noise_around_it() -> None:
    tried = [Tried(n, score, n * 0.5) for n, score in ((1, -2.0), (2, -3.0), (3, -1.0))]
    found = curve(tried, -2.0, 0.1)
    assert found is not None
    heights = [float(point.split(",")[1]) for point in found.best.split()]
    assert heights == sorted(heights, reverse=True)
    assert found.band is not None
    assert found.uniform == pytest.approx(found.band[0] + found.band[1] / 2, abs=0.11)
    hours = curve(tried, None, None, by_hours=True)
    assert hours is not None
    assert (hours.title, hours.band, hours.across[-1][1]) == (
        "worker hours of the search",
        None,
        "1.50",
    )
    assert curve(tried[:1], None, None) is None
