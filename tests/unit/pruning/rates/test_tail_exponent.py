"""AlphaPruning's exponents against a slow sum, and its mapping against the published one."""

import math

import pytest
import torch
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, matrix_of
from pruning.container.structure import MODULES
from pruning.rates.exponent_mapping import by_exponent
from pruning.rates.rates import overall
from pruning.rates.tail_exponent import block_exponent, hill_exponent
from rankspace.errors import InvalidInput
from tests.unit.pruning.removed.conftest import remove


def slow_exponent(weight: torch.Tensor) -> float:
    """Hill's estimator written out: singular values, their squares, the upper half."""
    eigenvalues = sorted(float(s) ** 2 for s in torch.linalg.svdvals(weight.double()))
    n = len(eigenvalues)
    k = n // 2
    total = sum(math.log(eigenvalues[n - i] / eigenvalues[n - k - 1]) for i in range(1, k + 1))
    return 1 + k / total


def test_exponents_are_the_means_of_slow_ones(any_model: PreTrainedModel) -> None:
    for block in blocks_of(any_model):
        expected = [slow_exponent(matrix_of(block, kind).weight) for kind in MODULES]
        assert block_exponent(block) == pytest.approx(sum(expected) / 7, rel=1e-5)


def test_a_block_without_attention_has_the_mean_of_its_mlp(llama: PreTrainedModel) -> None:
    block = blocks_of(llama)[1]
    kinds = ("gate_proj", "up_proj", "down_proj")
    expected = sum(slow_exponent(matrix_of(block, kind).weight) for kind in kinds) / 3
    remove(llama, 1, heads=0, kv_heads=0)
    assert block_exponent(blocks_of(llama)[1]) == pytest.approx(expected, rel=1e-5)


def test_the_exponent_of_a_power_law_is_found() -> None:
    """The density ``l^-a`` has quantiles ``(1 - q)^(-1 / (a - 1))``."""
    for exponent in (1.5, 2.0, 4.0):
        quantiles = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
        values = (1 - quantiles) ** (-1 / (exponent - 1))
        assert hill_exponent(values) == pytest.approx(exponent, rel=0.01)


def test_a_flat_spectrum_has_no_tail() -> None:
    with pytest.raises(InvalidInput, match="no tail"):
        hill_exponent(torch.ones(8))
    assert math.isfinite(hill_exponent(torch.tensor([0.0, 0.0, 1.0, 2.0, 4.0])))


def test_the_heaviest_tail_is_cut_least_as_published() -> None:
    """The authors' lines: linear on [1 - eps, 1 + eps], times one factor for the sparsity."""
    exponents = {4: 3.0, 5: 2.0, 7: 2.25}
    sizes = {4: 10, 5: 30, 7: 20}
    rates = by_exponent(0.5, sizes, exponents, 0.3)
    mapped = {i: (a - 2.0) / (3.0 - 2.0) * (1.3 - 0.7) + 0.7 for i, a in exponents.items()}
    scaler = 60 * 0.5 / sum(sizes[i] * mapped[i] for i in sizes)
    assert rates == pytest.approx({i: scaler * value for i, value in mapped.items()})
    assert min(rates, key=lambda index: rates[index]) == 5
    assert overall(rates, sizes) == pytest.approx(0.5, abs=1e-12)


def test_equal_tails_are_cut_equally() -> None:
    assert by_exponent(0.4, {0: 1, 1: 9}, {0: 2.0, 1: 2.0}, 0.3) == pytest.approx({0: 0.4, 1: 0.4})


def test_a_rate_above_1_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"rates\.0 = 1\.35: .*between 0 and 1"):
        by_exponent(0.9, {0: 1, 1: 1}, {0: 9.0, 1: 2.0}, 0.5)
