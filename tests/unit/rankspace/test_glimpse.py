"""What an error shows of a value: the beginning of its repr, however large the value is."""

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankspace.errors import LIMIT, MAX_TOLD, InvalidInput, cut, glimpse, revive
from rankspace.study import Study
from rankspace.wire import decode

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers()), inner)
    ),
)


@given(VALUES)
def test_a_glimpse_is_the_beginning_of_the_repr(value: Any) -> None:
    whole = repr(value)
    shown = glimpse(value)
    assert shown == whole or (len(shown) == LIMIT and len(whole) > LIMIT)
    if "'" not in whole and '"' not in whole:  # a cut text may be quoted otherwise
        assert shown == cut(whole)


def _bomb(levels: int) -> list[Any]:
    bomb: list[Any] = ["x"]
    for _ in range(levels):
        bomb = [bomb] * 10
    return bomb


def _nested(levels: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(levels):
        nested = [nested]
    return nested


def _endless() -> list[Any]:
    endless: list[Any] = []
    endless.append({"again": endless})
    return endless


@pytest.mark.parametrize(
    "value",
    [_bomb(30), _nested(100_000), _endless(), 16**5000, -(16**5000), [16**5000]],
    ids=["aliases", "nested", "endless", "number", "negative", "list of a number"],
)
def test_no_value_is_too_large_to_be_named_in_an_error(value: Any) -> None:
    tracemalloc.start()
    try:
        error = InvalidInput("name", value, "must be a text", fix="give a text")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(error.detail) < 150
    assert peak < 1 << 20


@pytest.mark.parametrize("value", ["ä" * 10**7, b"\x00" * 10**7], ids=["text", "bytes"])
def test_a_long_text_is_not_copied(value: str | bytes) -> None:
    tracemalloc.start()
    try:
        assert len(glimpse(value)) == LIMIT
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_a_long_name_of_a_field_is_cut() -> None:
    with pytest.raises(InvalidInput) as caught:
        decode(Study, {"k" * 100_000: 1})
    assert "unknown field" in caught.value.detail
    assert len(caught.value.detail) < 200


def test_what_another_program_says_is_cut() -> None:
    error = revive("NotFound", "x" * 10**6, "y" * 10**6)
    assert (len(error.detail), len(error.hint)) == (MAX_TOLD, MAX_TOLD)
