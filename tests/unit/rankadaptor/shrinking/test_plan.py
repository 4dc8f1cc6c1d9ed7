"""What a directory of `rankadaptor shrink` is begun with, and goes on with."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankadaptor.shrinking.plan import RECORD, ShrinkPlan, ratio_for
from rankspace.errors import InvalidInput

PLAN = ShrinkPlan("/m", 0.6, "/d.txt", "/d.txt", "taylor")


def test_a_directory_goes_on_with_what_it_was_begun_with(tmp_path: Path) -> None:
    home = tmp_path / "new" / "small"
    PLAN.begin(home)
    PLAN.begin(home)
    for changes, field in (({"keep": 0.5}, "--keep"), ({"model": "/other"}, "MODEL")):
        with pytest.raises(InvalidInput, match=rf"^{field} = .* was begun with"):
            replace(PLAN, **changes).begin(home)


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(InvalidInput, match=r"--to = .* was not begun by"):
        PLAN.begin(tmp_path)
    assert not (tmp_path / RECORD).exists()
    with pytest.raises(InvalidInput, match="--to"):
        PLAN.begin(tmp_path / "mine")


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
