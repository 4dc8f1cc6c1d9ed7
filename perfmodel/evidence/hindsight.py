"""Hindsight: a study's model that has also learned what the verification measured.

Only for looking at: the search proposed without it. Verification runs on seeds of its own and
partly on other held-out data, which moves all scores of a seed alike, and only some strategies know
of seeds. So what a vector scored is told to all of them as its difference from uniform on the same
seed, above what the model expects of uniform on the search's.

Such a difference has the noise of two trials, and the mean of two of them that of one: so two are
told as one trial. What the differences of one seed share, the noise of uniform's trial, is told to
nobody: predicted errors are a little too small for that, and what holds is said by the comparisons.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean

from perfmodel.evidence.verification import Scored
from perfmodel.state import ModelState
from perfmodel.study import learn, predict
from rankspace import Observation, RankVector


def hindsight(state: ModelState, verified: Sequence[Scored]) -> ModelState:
    """Return ``state`` with ``verified`` learned; itself where that says nothing.

    Args:
        state: With at least one score.
        verified: Finished verification trials, in any order.
    """
    means = [
        (vector, mean)
        for vector, gains in _gains(verified, state.space.uniform()).items()
        for mean in _means(gains)
    ]
    if not means:
        return state
    seed, fidelity = usual_way(state)
    level = float(predict(state, [state.space.uniform()])[0][0])
    return learn(
        state, [Observation(vector, level + mean, seed, fidelity) for vector, mean in means]
    )


def _gains(verified: Sequence[Scored], uniform: RankVector) -> Mapping[RankVector, list[float]]:
    """What each vector scored above uniform, seed by seed."""
    base = {
        one.seed: one.score for one in verified if one.rank_vector == uniform and one.rate == 1.0
    }
    found: dict[RankVector, list[float]] = {}
    at_recipe = [one for one in verified if one.rate == 1.0]
    for one in sorted(at_recipe, key=lambda one: (one.seed, one.rank_vector.ranks)):
        rival = base.get(one.seed)
        if one.rank_vector != uniform and one.score is not None and rival is not None:
            found.setdefault(one.rank_vector, []).append(one.score - rival)
    return found


def _means(gains: Sequence[float]) -> list[float]:
    """The gains, two at a time; the last three where one is left over, and of one alone nothing."""
    pairs = len(gains) // 2
    ends = [*range(2, 2 * pairs, 2), len(gains)] if pairs else []
    return [fmean(gains[begin:end]) for begin, end in pairwise([0, *ends])]


def usual_way(state: ModelState) -> tuple[int, float]:
    """Seed and fidelity that most scores have in common."""
    ways = Counter((seen.seed, seen.fidelity) for seen in state.scored)
    return max(sorted(ways), key=lambda way: ways[way])
