"""ATP's search: its authors' steps, counted by hand, and even ones where they are too many."""

import pytest

from pruning.search.evaluation import Evaluation
from pruning.search.progression import even_steps, published_steps, search_steps
from tests.unit.pruning.search.spaces import bowl, space_of


def test_nine_steps_of_32_blocks_at_a_ratio_of_seven_tenths() -> None:
    """``beta = .002, .004, ...`` until ``min(2S, 2(1 - S)) / (L - 1) = .01935`` is passed."""
    steps = published_steps(2 * (1 - 0.7) / 31)
    assert steps == pytest.approx([0.002 * i for i in range(1, 10)])
    assert published_steps(0.0019) == ()
    assert len(published_steps(0.006)) == 3  # the limit itself is legal


def test_even_steps_end_at_the_limit() -> None:
    assert even_steps(0.2, 4) == pytest.approx((0.05, 0.1, 0.15, 0.2))


@pytest.mark.parametrize(("evaluations", "count", "first"), [(9, 9, 0.002), (4, 4, 0.6 / 31 / 4)])
def test_the_published_progressions_are_proposed(
    evaluations: int, count: int, first: float
) -> None:
    """``s_i = S - beta (L - 1) / 2 + beta i``."""
    space = space_of(0.7, kv_heads=8, ffn=(344,) * 32)
    uniform = Evaluation(space.uniform, bowl(space.uniform))
    vectors = []
    proposals = search_steps(space, uniform, evaluations)
    vectors.append(next(proposals))
    while True:
        try:
            vectors.append(proposals.send(uniform))
        except StopIteration:
            break
    assert len(vectors) == count
    for number, vector in enumerate(vectors, 1):
        beta = first * number
        expected = [0.7 - beta * 31 / 2 + beta * i for i in range(32)]
        assert list(vector) == pytest.approx(expected, abs=1e-9)
    assert max(max(vector) for vector in vectors) <= 1.0
