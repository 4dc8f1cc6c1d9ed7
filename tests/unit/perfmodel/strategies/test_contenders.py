"""Of very many trials only those are looked at whose vectors may lead."""

import pytest

from perfmodel import leaders, learn, random_vectors, start
from perfmodel.strategies import observed
from perfmodel.strategies.observed import contenders, scored_vectors
from rankspace import Layer, Observation, SearchSpace

SPACE = SearchSpace(tuple(Layer(f"{at}", 5 + at % 3) for at in range(10)), (0, 1, 2, 4, 8), 180)


def test_the_best_and_the_latest_may_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = random_vectors(SPACE, 40, seed=1)
    seen = [Observation(vector, float(7 * at % 40)) for at, vector in enumerate(vectors)]
    state = learn(start(SPACE, trials=60), seen)
    assert contenders(state) == scored_vectors(state) == list(vectors)
    monkeypatch.setattr(observed, "MOST", 4)
    best = sorted(range(40), key=lambda at: -(7 * at % 40))[:4]
    kept = sorted({*best, *range(36, 40)})
    assert contenders(state) == [vectors[at] for at in kept]
    tried = [vector for vector in leaders(state, 40) if vector in state.tried]
    assert set(tried) <= {*contenders(state), SPACE.uniform()}
