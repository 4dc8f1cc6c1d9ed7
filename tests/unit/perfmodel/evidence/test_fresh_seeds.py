"""Seeds of verifications: nobody else's."""

from itertools import product

from perfmodel.evidence.fresh_seeds import COUNTED, FreshSeeds
from rankspace.study import CHOOSING_SEEDS, MAX_SEED, MAX_TRIALS


def test_neighbouring_studies_and_answers_share_no_seed() -> None:
    drawn = [
        seed
        for root, looks in product(range(20), range(4))
        for fresh in [FreshSeeds(root, looks)]
        for seed in (*fresh.choosing, *fresh.judging(40), fresh.recovery(0))
    ]
    assert len(set(drawn)) == len(drawn)
    assert min(drawn) > MAX_SEED
    assert max(drawn) < 2**53  # what JSON carries everywhere


def test_they_are_the_same_everywhere() -> None:
    assert FreshSeeds(3, 1).of(2) == FreshSeeds(3, 1).judging(1)[0]
    assert FreshSeeds(0).choosing == (KNOWN, FreshSeeds(0).of(1))


KNOWN = 998510824384


def test_a_verification_of_before_goes_on_counting() -> None:
    fresh = FreshSeeds(7, 1, counted=True)
    first = 7 + 2 * COUNTED
    assert fresh.choosing == (first, first + 1)
    assert fresh.judging(3) == tuple(first + CHOOSING_SEEDS + at for at in range(3))
    assert fresh.recovery(30) == first + 30
    assert MAX_SEED + MAX_TRIALS < 2**53
