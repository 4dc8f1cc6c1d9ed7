"""Orders: the same as scipy's, ties included."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from perfmodel.evidence import rank_correlation


@pytest.mark.parametrize("different", [2, 5, 40, 10_000])
@pytest.mark.parametrize("count", [2, 3, 17, 400])
def test_they_are_those_of_scipy(count: int, different: int) -> None:
    rng = np.random.default_rng(count + different)
    for _ in range(20):
        left, right = rng.integers(different, size=(2, count)).astype(float)
        assert rank_correlation.ranks(left) == pytest.approx(stats.rankdata(left))
        if np.ptp(left) and np.ptp(right):
            kendall = stats.kendalltau(left, right).statistic
            assert rank_correlation.kendall(left, right) == pytest.approx(kendall, abs=1e-12)
            spearman = stats.spearmanr(left, right).statistic
            assert rank_correlation.spearman(left, right) == pytest.approx(spearman, abs=1e-12)


@pytest.mark.slow
def test_a_service_does_not_carry_scipy_stats() -> None:
    """It is 40 MiB of resident memory for two functions."""
    code = "import service.server, sys; assert 'scipy.stats' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
