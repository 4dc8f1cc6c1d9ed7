"""Utilities of layers that cannot use every rank."""

from dataclasses import replace

import numpy as np
import pytest

from perfmodel.additive.basis import Basis
from rankspace import Layer, Part, SearchSpace

SPACE = SearchSpace(tuple(Layer(name, 10) for name in "abc"), (0, 2, 4, 8), 100, fixed={"c": 2})
FULL = Basis.of(replace(SPACE, parts={"b": (Part("b", 10, 3),)}))
FREE = Basis.of(SPACE)


def test_the_highest_rank_of_a_layer_is_worth_what_its_curves_say_there() -> None:
    coefficients = np.array([1.0, 2.0, 0.5, 0.3, 0.7, 1.1])
    tables = FULL.tables(coefficients)
    expected = FULL.curves(np.array([0.0, 2.0, 3.0, 3.0])) @ coefficients[3:]
    assert tables[1] == pytest.approx(expected)
    assert tables[2].tolist() == [0.0] * 4
    assert np.array_equal(tables[0], FREE.tables(coefficients)[0])


def test_what_is_expected_before_any_score_ends_there_too() -> None:
    expected = FULL.expected()
    assert expected[1, 2] == expected[1, 3] < FREE.expected()[1, 3]
    assert np.array_equal(expected[0], FREE.expected()[0])
