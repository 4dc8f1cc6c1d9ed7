"""Moments told in batches are those of all vectors together."""

import pytest
import torch

from pruning.statistics.input_statistics import InputStatistics


def told(inputs: torch.Tensor, *sizes: int, gram: bool = False) -> InputStatistics:
    statistics = InputStatistics(gram=gram)
    for part in torch.split(inputs, list(sizes)):
        statistics.add(part)
    return statistics


@pytest.mark.parametrize("sizes", [(40,), (1, 39), (13, 20, 7)])
def test_moments_do_not_depend_on_the_batches(sizes: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn((40, 3, 5), generator=generator) * 3 + torch.arange(5)
    rows = inputs.flatten(0, 1).double()
    found = told(inputs, *sizes, gram=True)
    assert found.count == 120
    torch.testing.assert_close(found.mean, rows.mean(0), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.variance, rows.var(0), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.norm, rows.norm(dim=0), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.gram.double(), rows.T @ rows, rtol=1e-5, atol=1e-4)


def test_a_small_variance_far_from_zero_is_not_lost() -> None:
    """``E[x^2] - E[x]^2`` in float32 would be off by more than the variance itself."""
    rows = 1000.0 + 0.1 * torch.randn((4000, 2), generator=torch.Generator().manual_seed(1))
    found = told(rows, 1000, 3000)
    torch.testing.assert_close(found.variance, rows.double().var(0), rtol=1e-3, atol=0)


def test_one_vector_does_not_vary() -> None:
    found = told(torch.ones(1, 4), 1)
    assert found.variance.tolist() == [0.0] * 4
    assert found.norm.tolist() == [1.0] * 4
