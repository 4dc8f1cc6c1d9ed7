"""What ``calibration`` and ``front`` print for a person."""

import io
from dataclasses import replace

from rich.console import Console, RenderableType

from rankadaptor.insight_view import HEIGHT, Canvas, calibration_view, front_view
from rankspace import Comparison, RankVector
from rankspace.calibration import Calibration, Correlation, Coverage, Noise, Predicted, Trust
from rankspace.front import Checked, Finding, Front, FrontPoint, Promise, Spot, Verified
from rankspace.verdict import Answer

FOUND = Calibration(
    trust=Trust.NARROW,
    summary="The predicted intervals are too narrow: 3 of 12 [sic].",
    coverage=(Coverage(0.8, 3, 12, 0.08, 0.53),),
    spearman=Correlation(0.5, 0.1, 0.8),
    kendall=None,
    bias=-0.01,
    crps=0.02,
    crps_baseline=0.03,
    noise=Noise(0.004, 0.003, 0.006, "what 12 scores leave unexplained"),
    points=(Predicted(1, -2.0, 0.1, -2.1), Predicted(2, -2.2, 0.1, -2.2)),
)


def shown(view: RenderableType) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(view)
    return console.export_text()


def test_a_calibration_is_told_in_words_figures_and_a_picture() -> None:
    text = shown(calibration_view(FOUND))
    assert "3 of 12 [sic]" in text
    assert "25 %" in text
    assert "8 % … 53 %" in text
    assert "0.50, 95 % interval 0.10 to 0.80" in text
    assert "cannot be told" in text
    assert "0.0040, 90 % interval 0.0030 to 0.0060" in text
    assert text.count("o") > 2


def test_before_there_is_enough_only_that_is_said() -> None:
    early = Calibration(
        Trust.TOO_EARLY, "Too early to say.", FOUND.coverage, None, None, None, None, None, None, ()
    )
    text = shown(calibration_view(early))
    assert "Too early to say." in text
    assert "noise and misfit of one trial: not known yet" in text
    assert "│" not in text


def point(parameters: int, mean: float, score: float | None = None) -> FrontPoint:
    return FrontPoint(RankVector((parameters,)), parameters, mean, 0.01, score)


def test_a_front_marks_uniform_and_what_matches_it() -> None:
    uniform, cheapest = point(1200, -2.3, -2.31), point(900, -2.29)
    comparison = Comparison(0.01, -0.01, 0.03, 5, Answer.NO_DIFFERENCE_SHOWN)
    front = Front(
        points=(point(0, -2.5), cheapest, point(1190, -2.2)),
        uniform=uniform,
        uniforms=(point(0, -2.5), uniform),
        cheapest=cheapest,
        verified=Verified(RankVector((900,)), 900, comparison),
        tried=(Spot(1200, -2.3, 0.01, -2.31),),
        summary="In short.",
    )
    text = shown(front_view(front))
    rows = {line.split()[0]: line for line in text.splitlines() if "±" in line}
    assert list(rows) == ["0", "900", "1,190", "1,200"]
    assert "cheapest match" in rows["900"]
    assert "75 %" in rows["900"]
    assert "+0.1000" in rows["1,190"]
    assert rows["1,200"].rstrip().endswith("uniform")
    assert "Verified: 900 parameters, 25 % fewer" in text


def test_a_canvas_puts_values_where_they_belong() -> None:
    canvas = Canvas((0.0, 10.0), (0.0, 1.0))
    canvas.put(0.0, 0.0, "a")
    canvas.put(10.0, 1.0, "b")
    canvas.put(99.0, -9.0, "c")  # beyond the box: at its edge
    lines = canvas.draw("title").plain.splitlines()
    assert lines[1].rstrip().endswith("b")
    assert lines[HEIGHT].split("│")[1][0] == "a"
    assert lines[HEIGHT].rstrip().endswith("c")


def test_what_was_refuted_is_marked_and_no_error_is_printed_that_is_not_known() -> None:
    uniform, cheap = point(1200, -2.3), point(900, -2.29)
    lost = Comparison(-0.0213, -0.04, -0.0026, 6, Answer.WORSE)
    checked = Checked(cheap.rank_vector, 900, Promise.ENOUGH, lost, Finding.REFUTED)
    front = Front(
        points=(cheap, point(1190, -2.2)),
        uniform=uniform,
        uniforms=(uniform,),
        cheapest=None,
        verified=None,
        tried=(),
        summary="In short.",
        checked=(checked,),
        trust=Trust.NARROW,
        age_seconds=35.4,
    )
    text = shown(front_view(front))
    assert "±" not in text
    assert "As of 35 s ago" in text
    rows = [line for line in text.splitlines() if line.strip().startswith("900")]
    assert all("refuted" in row for row in rows)
    assert len(rows) == 2
    assert "-0.0213" in rows[1]
    assert "-0.0400 … -0.0026" in rows[1]
    assert "±" in shown(front_view(replace(front, trust=Trust.HOLDS)))
    assert "As of" not in shown(front_view(replace(front, age_seconds=0.0)))


def test_a_calibration_says_its_age_too() -> None:
    assert "As of 90 s ago" in shown(calibration_view(replace(FOUND, age_seconds=90.0)))
