"""Trials as a table: each trial a row, each layer a column, and little memory beside it."""

import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from rankadaptor.notebook.frame import FIELDS, MEASURED, trials_frame
from rankspace import Layer, SearchSpace
from rankspace.errors import InvalidInput, UnsupportedVersion

SPACE = SearchSpace(tuple(Layer(f"l{i}", 1, i, "q") for i in range(224)), (0, 1, 2), 10**6)


def _trial(number: int, **changes: Any) -> dict[str, Any]:
    known = dict.fromkeys(FIELDS)
    moments = {"created_at": "2026-12-01T03:00:00Z", "finished_at": "2026-12-01T03:00:01.500Z"}
    ranks = [(number + layer) % 3 for layer in range(224)]
    made = {**known, **moments, "id": number, "rank_vector": ranks, "measurement": {"steps": 10}}
    return {**made, **changes}


def test_without_pandas_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InvalidInput, match="pandas") as raised:
        trials_frame([], SPACE)
    assert "pip install 'rankadaptor[notebook]'" in raised.value.hint


@pytest.fixture
def _pandas() -> None:
    pytest.importorskip("pandas", reason="pip install '.[notebook]'")


@pytest.mark.usefixtures("_pandas")
def test_times_are_times_and_ranks_numbers() -> None:
    frame = trials_frame([_trial(7, state="done"), _trial(8, measurement=None)], SPACE)
    assert list(frame.index) == [7, 8]
    assert list(frame.columns) == [*FIELDS[1:], *(layer.name for layer in SPACE.layers)]
    assert (frame.finished_at - frame.created_at).dt.total_seconds().tolist() == [1.5, 1.5]
    assert frame.loc[7, "l3"] == 1
    assert frame.steps.tolist()[0] == 10
    assert frame.steps.isna().tolist() == [False, True]


@pytest.mark.usefixtures("_pandas")
def test_what_no_trial_has_measured_is_a_number_all_the_same() -> None:
    frame = trials_frame([_trial(7), _trial(8)], SPACE)
    assert {str(kind) for kind in frame[[*MEASURED]].dtypes} == {"float64"}
    assert len(frame.nlargest(1, "score")) == 1  # which columns of objects refuse


@pytest.mark.usefixtures("_pandas")
def test_a_layer_that_is_named_as_a_field_hides_none() -> None:
    space = SearchSpace((Layer("id", 1), Layer("score", 1)), (0, 1, 2), 10)
    frame = trials_frame([_trial(7, rank_vector=[1, 2], score=-0.5)], space)
    assert list(frame.columns) == [*FIELDS[1:], "layer id", "layer score"]
    assert (frame.score[7], frame["layer score"][7]) == (-0.5, 2)


@pytest.mark.usefixtures("_pandas")
def test_no_trials_are_an_empty_table_with_all_columns() -> None:
    frame = trials_frame([], SPACE)
    assert frame.shape == (0, len(FIELDS) - 1 + 224)


@pytest.mark.usefixtures("_pandas")
@pytest.mark.parametrize("ranks", [None, [1, 2], [1.5] * 224, [-1] * 224, [2**31] * 224])
def test_a_list_without_the_ranks_is_refused(ranks: Any) -> None:
    with pytest.raises(UnsupportedVersion, match="trial 9"):
        trials_frame([_trial(9, rank_vector=ranks)], SPACE)


@pytest.mark.usefixtures("_pandas")
def test_trials_are_let_go_once_they_are_read() -> None:
    trials_frame([_trial(0)], SPACE)  # what pandas imports is no part of it
    count = 2000

    def listed() -> Iterator[dict[str, Any]]:
        for number in range(count):
            yield _trial(number)

    tracemalloc.start()
    try:
        trials_frame(listed(), SPACE)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * (4 * 224 * count)  # the ranks, grown, copied into the table and joined
