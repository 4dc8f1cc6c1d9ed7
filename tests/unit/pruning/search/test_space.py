"""RateSpace: the exact mean, and no vector that wins by removing less."""

from random import Random

import pytest

from pruning.rates.rates import overall
from pruning.search.draws import draw
from pruning.search.space import RateSpace
from tests.unit.pruning.search.spaces import SPACES, space_of


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_any_vector_is_moved_to_the_exact_mean_within_0_to_1(space: RateSpace) -> None:
    rng = Random(0)
    width = len(space.blocks)
    wild = [[rng.uniform(-3, 3) for _ in range(width)] for _ in range(20)]
    for vector in [*wild, [0.0] * width, [1.0] * width, [1e9] + [-1e9] * (width - 1)]:
        rates = space.project(vector)
        assert list(rates) == list(space.blocks)
        assert overall(rates, space.sizes) == pytest.approx(space.ratio, abs=1e-9)
        assert 0.0 <= min(rates.values()) <= max(rates.values()) <= 1.0
        order = sorted(space.blocks, key=lambda index: vector[index - space.blocks[0]])
        assert [rates[i] for i in order] == sorted(rates.values())


def test_what_has_the_mean_already_stays() -> None:
    space = space_of(0.5)
    assert list(space.project([0.1, 0.9, 0.5, 0.3, 0.7]).values()) == pytest.approx(
        [0.1, 0.9, 0.5, 0.3, 0.7], abs=1e-12
    )


def removed_by_hand(space: RateSpace, rates: dict[int, float]) -> float:
    """Weights of whole heads and channels, counted matrix by matrix."""
    lost = all_ = 0
    for index, rate in rates.items():
        block = space.structure.blocks[index]
        for kv, queries, channels, count in (
            (block.kv_heads, block.heads, block.ffn, 1),
            (
                max(1, round(block.kv_heads * (1 - rate))),
                max(1, round(block.kv_heads * (1 - rate))) * (block.heads // block.kv_heads),
                max(1, round(block.ffn * (1 - rate))),
                -1,
            ),
        ):
            attention = 2 * queries * block.head_dim * 32 + 2 * kv * block.head_dim * 32
            lost += count * (attention + 3 * channels * 32)
            all_ += (attention + 3 * channels * 32) if count > 0 else 0
    return lost / all_


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_what_is_scored_removes_what_was_asked_but_for_half_a_head(space: RateSpace) -> None:
    """Rates of .374 of four heads remove one in each block, a quarter: that is not a gain."""
    rng = Random(1)
    head = 4 * 32 * (2 * 2 + 2)  # a group: two query heads of q and o, one head of k and v
    half = head / 2 / sum(space.sizes.values())
    least = min(space.ratio, removed_by_hand(space, dict(space.uniform))) - half
    moved = 0
    for _ in range(40):
        vector = draw(space, rng)
        rates = dict(space.settle(vector))
        assert space.removed(rates) == pytest.approx(removed_by_hand(space, rates))
        assert removed_by_hand(space, rates) >= least - 1e-9
        assert overall(rates, space.sizes) == pytest.approx(space.ratio, abs=1e-9)
        moved += rates != space.project(vector)
    if space is SPACES["equal blocks, half"]:
        assert 0 < moved < 40


def test_a_vector_just_below_where_heads_go_is_moved() -> None:
    space = space_of(0.37, ffn=(64,) * 6)
    assert space.is_fair(space.uniform)  # equal rates round alike: nothing else could be asked
    low = space_of(0.5)
    cheating = low.project([0.37, 0.37, 0.37, 0.62, 0.77])
    assert low.removed(cheating) < 0.5 - 0.02
    assert not low.is_fair(cheating)
    assert low.is_fair(low.settle(list(cheating.values())))
