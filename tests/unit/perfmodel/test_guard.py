import numpy as np

from perfmodel import ModelState, learn, propose, random_vectors, start
from perfmodel.guard import misleads
from rankspace import Layer, Observation, SearchSpace

SPACE = SearchSpace(
    tuple(Layer(f"{b}.{m}", 5, b, m) for b in range(3) for m in "qvo"), (0, 1, 2, 4), 9 * 5 * 2
)


def told(additive: bool, count: int = 16) -> ModelState:
    """A state whose scores are a sum over layers, or the parity of one that no sum can fit."""
    vectors = random_vectors(SPACE, count, seed=2)
    sums = [float(np.sqrt(v.ranks) @ np.arange(9)) for v in vectors]
    ranked = np.argsort(np.argsort(sums))
    scores = sums if additive else [float((-1) ** at * 10 + 0.1 * at) for at in ranked.tolist()]
    seen = [Observation(v, s) for v, s in zip(vectors, scores, strict=True)]
    return learn(start(SPACE, trials=40), seen)


def test_a_model_that_predicts_is_trusted() -> None:
    state = told(additive=True)
    assert not misleads(state)
    assert "sample" in propose(state)[1][0].reason


def test_a_model_worse_than_none_is_overruled_and_says_so() -> None:
    state = told(additive=False)
    assert misleads(state)
    assert "worse than no model" in propose(state)[1][0].reason


def test_few_scores_convict_nobody() -> None:
    assert not misleads(told(additive=False, count=5))
    assert not misleads(start(SPACE))
