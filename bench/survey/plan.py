"""Which surveys are recorded on each surface."""

from dataclasses import dataclass

from tuning.elastic.schemes import Scheme


@dataclass(frozen=True)
class Run:
    """One elastic training."""

    scheme: Scheme
    steps: int
    seed: int = 0


QUICK = (Run(Scheme.SAMPLED, 400), Run(Scheme.SAMPLED, 160))
"""Those that ``--quick`` is content with: the first is what a study does by default."""

RUNS = (
    *QUICK,
    Run(Scheme.SAMPLED, 40),
    Run(Scheme.PAIR, 200),
    Run(Scheme.LARGEST, 200),
    Run(Scheme.DIAGONAL, 400),
    Run(Scheme.SAMPLED, 400, seed=1),
)
"""Two vectors a step for half the steps cost what one does for all of them."""
