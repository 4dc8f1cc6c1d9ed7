"""Learning from finished trials and proposing the next: pure functions over data.

No I/O, no clock, no global random state: the same state gives the same proposals anywhere.
"""

from perfmodel.additive.noise import NoiseEstimate
from perfmodel.allocation.knapsack import allocate
from perfmodel.allocation.random_vectors import another_vector, random_vectors
from perfmodel.evidence.comparison import compare
from perfmodel.evidence.verification import Arms, Scored, next_step
from perfmodel.state import ModelState
from perfmodel.strategies import STRATEGIES
from perfmodel.study import (
    digest,
    economy,
    inform,
    is_heard,
    leaders,
    learn,
    noise_estimate,
    predict,
    propose,
    start,
    to_survey,
)

__all__ = [
    "STRATEGIES",
    "Arms",
    "ModelState",
    "NoiseEstimate",
    "Scored",
    "allocate",
    "another_vector",
    "compare",
    "digest",
    "economy",
    "inform",
    "is_heard",
    "leaders",
    "learn",
    "next_step",
    "noise_estimate",
    "predict",
    "propose",
    "random_vectors",
    "start",
    "to_survey",
]
