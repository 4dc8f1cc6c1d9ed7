"""A study as a person submits it."""

from rankspace.study.bounds import (
    LEAST_SURVEYED,
    MAX_GIB,
    MAX_SEED,
    MAX_TRIALS,
    MAX_WORTH,
    MOST_CANDIDATES,
    MOST_NATS,
)
from rankspace.study.progress import Best, Progress
from rankspace.study.search import (
    PRIORS,
    Budget,
    Granularity,
    Opinion,
    Search,
    StrategyName,
    Survey,
    TrialRun,
)
from rankspace.study.states import (
    ACTIVE,
    OVER,
    RESUMABLE,
    STAGES,
    STUDY_TRANSITIONS,
    StudyState,
    sources,
)
from rankspace.study.study import Extension, Recover, Study
from rankspace.study.verify import CHOOSING_SEEDS, Control, Verify, look_rounds

__all__ = [
    "ACTIVE",
    "CHOOSING_SEEDS",
    "LEAST_SURVEYED",
    "MAX_GIB",
    "MAX_SEED",
    "MAX_TRIALS",
    "MAX_WORTH",
    "MOST_CANDIDATES",
    "MOST_NATS",
    "OVER",
    "PRIORS",
    "RESUMABLE",
    "STAGES",
    "STUDY_TRANSITIONS",
    "Best",
    "Budget",
    "Control",
    "Extension",
    "Granularity",
    "Opinion",
    "Progress",
    "Recover",
    "Search",
    "StrategyName",
    "Study",
    "StudyState",
    "Survey",
    "TrialRun",
    "Verify",
    "look_rounds",
    "sources",
]
