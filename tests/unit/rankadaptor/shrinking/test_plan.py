"""What a directory of `rankadaptor shrink` is begun with, and goes on with."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankadaptor.shrinking.plan import RECORD, ShrinkPlan, ratio_for
from rankspace.errors import InvalidInput, UnreadableInput


@pytest.fixture
def plan(tmp_path: Path) -> ShrinkPlan:
    model, text = tmp_path / "model", tmp_path / "text.txt"
    model.mkdir()
    for file in (model / "config.json", model / "model.safetensors", text):
        file.write_text("of before")
    return ShrinkPlan(str(model), 0.6, str(text), str(text), "taylor")


def test_a_directory_goes_on_with_what_it_was_begun_with(plan: ShrinkPlan, tmp_path: Path) -> None:
    home = tmp_path / "new" / "small"
    plan.begin(home)
    plan.begin(home)
    for changes, field in (({"keep": 0.5}, "--keep"), ({"method": "flap"}, "--method")):
        with pytest.raises(InvalidInput, match=rf"^{field} = .* was begun with"):
            replace(plan, **changes).begin(home)
    for name in (plan.text, f"{plan.model}/model.safetensors"):
        Path(name).write_text("of now, and longer")
        with pytest.raises(InvalidInput, match="has changed since"):
            plan.begin(home)
        Path(name).unlink()
        plan_of_now = tmp_path / f"of {Path(name).name}"
        Path(name).write_text("of before")
        plan.begin(plan_of_now)
        home = plan_of_now


def test_a_record_that_is_broken_is_named(plan: ShrinkPlan, tmp_path: Path) -> None:
    plan.begin(tmp_path / "small")
    record = tmp_path / "small" / RECORD
    record.write_text(record.read_text()[:20])
    with pytest.raises(UnreadableInput, match="is no record of a shrinking"):
        plan.begin(tmp_path / "small")


def test_a_directory_of_something_else_is_left_alone(plan: ShrinkPlan, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(InvalidInput, match=r"--to = .* was not begun by"):
        plan.begin(tmp_path)
    assert not (tmp_path / RECORD).exists()
    with pytest.raises(InvalidInput, match="--to"):
        plan.begin(tmp_path / "mine")


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.floats(0.01, 0.99))
def test_the_ratio_leaves_the_share_of_all_or_the_least_share_is_named(
    within: int, outside: int, keep: float
) -> None:
    total = within + outside
    if (1 - keep) * total >= within:
        with pytest.raises(InvalidInput, match="--keep"):
            ratio_for(keep, total, within)
    else:
        left = outside + (1 - ratio_for(keep, total, within)) * within
        assert left == pytest.approx(keep * total)


@pytest.mark.parametrize("keep", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_a_share_that_is_none_is_refused(keep: float) -> None:
    with pytest.raises(InvalidInput, match="must lie between 0 and 1"):
        ratio_for(keep, 10, 5)
