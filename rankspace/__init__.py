"""The shared vocabulary: frozen values, their JSON form and one error tree. No I/O."""

from rankspace.context import Context
from rankspace.layer_profile import LayerProfile
from rankspace.lease import Assignment
from rankspace.observation import Measurement, Observation
from rankspace.proposal import Proposal
from rankspace.pruned_model import Matrix, PrunedModel
from rankspace.rank_vector import RankVector
from rankspace.search_space import Layer, Part, SearchSpace
from rankspace.study import Study
from rankspace.trial import Purpose, TrialState
from rankspace.verdict import Comparison, Verdict

__all__ = [
    "Assignment",
    "Comparison",
    "Context",
    "Layer",
    "LayerProfile",
    "Matrix",
    "Measurement",
    "Observation",
    "Part",
    "Proposal",
    "PrunedModel",
    "Purpose",
    "RankVector",
    "SearchSpace",
    "Study",
    "TrialState",
    "Verdict",
]
