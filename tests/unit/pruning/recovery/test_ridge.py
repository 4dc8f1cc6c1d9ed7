"""Least squares on moments: the right solution, and none where it would do harm unseen."""

import pytest
import torch

from pruning.recovery.moments import Moments
from pruning.recovery.ridge import PENALTIES, best_fit, ridge_change

D_IN, D_OUT = 12, 5


def moments_of(x: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> Moments:
    """In two parts, as batches come."""
    moments = Moments(weight.shape[1], weight.shape[0])
    for some in (slice(0, 7), slice(7, None)):
        moments.add(x[some][None], (x[some] @ weight.T)[None], targets[some][None])
    return moments


@pytest.fixture
def draw() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("penalty", [1e-5, 1.0])
def test_the_solution_is_that_of_least_squares_on_the_rows(
    penalty: float, draw: torch.Generator
) -> None:
    x = torch.randn(40, D_IN, generator=draw) * torch.logspace(-1, 1, D_IN)
    weight, targets = (torch.randn(n, m, generator=draw) for n, m in ((D_OUT, D_IN), (40, D_OUT)))
    strength = penalty * x.square().sum(dim=0).mean()
    # min ||X W'^T - Y||^2 + lambda ||W' - W||^2, as rows more
    rows = torch.cat([x, strength.sqrt() * torch.eye(D_IN)]).double()
    aims = torch.cat([targets, strength.sqrt() * weight.T]).double()
    expected = torch.linalg.lstsq(rows, aims).solution.T
    moments = moments_of(x, weight, targets)
    change = ridge_change(moments, penalty)
    assert change is not None
    torch.testing.assert_close(weight + change, expected, rtol=1e-4, atol=1e-4)
    left = (x.double() @ expected.T - targets).square().sum() / targets.double().square().sum()
    assert moments.error(change) == pytest.approx(float(left), rel=1e-4)


def test_channels_that_depend_on_those_kept_are_recovered(draw: torch.Generator) -> None:
    dense = torch.randn(D_OUT, 2 * D_IN, generator=draw)
    mixing = torch.randn(D_IN, D_IN, generator=draw)

    def looked(tokens: int) -> Moments:
        kept = torch.randn(tokens, D_IN, generator=draw)
        whole = torch.cat([kept, kept @ mixing], dim=1)
        return moments_of(kept, dense[:, :D_IN], whole @ dense.T)

    fit = best_fit(dense[:, :D_IN], looked(60), looked(20))
    assert fit.weight is not None
    torch.testing.assert_close(
        fit.weight, dense[:, :D_IN] + dense[:, D_IN:] @ mixing.T, rtol=1e-4, atol=1e-4
    )
    assert fit.penalty == min(PENALTIES)
    assert fit.after < 1e-8 < fit.before


def test_what_is_noise_changes_nothing(draw: torch.Generator) -> None:
    weight = torch.randn(D_OUT, D_IN, generator=draw)

    def looked(tokens: int) -> Moments:
        x = torch.randn(tokens, D_IN, generator=draw)
        return moments_of(x, weight, x @ weight.T + torch.randn(tokens, D_OUT, generator=draw))

    fit = best_fit(weight, looked(40), looked(40))
    assert (fit.weight, fit.penalty, fit.after) == (None, None, fit.before)


def test_what_rounding_takes_away_is_no_gain(draw: torch.Generator) -> None:
    weight = torch.ones(1, 1, dtype=torch.bfloat16)
    x = torch.randn(40, 1, generator=draw)
    moments = moments_of(x, weight.float(), 1.001 * x)  # 1.001 is 1 in bfloat16
    assert best_fit(weight, moments, moments).weight is None


def test_features_that_are_all_zero_change_nothing() -> None:
    moments = moments_of(torch.zeros(9, D_IN), torch.ones(D_OUT, D_IN), torch.ones(9, D_OUT))
    assert best_fit(torch.ones(D_OUT, D_IN), moments, moments).weight is None
