"""Record: what one arm answered on one problem after so many trials."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """One answer, as it is stored.

    Attributes:
        family: Of the problem.
        layers: Its dimensions.
        problem: Its seed.
        arm: Who answered.
        length: Trials that were planned.
        trials: Trials that ran; fewer when the run passed its cap.
        fingerprint: Of the problem; a stored answer to another problem is not used.
        ranks: The answer.
        infeasible: Proposals above the budget, or with a rank that is not allowed.
        seconds: Spent proposing and learning, of CPU: the machine may be shared.
        gain: What the arm predicts the answer gains over uniform, in noise deviations; None
            without a model.
        version: Of the arm's library.
    """

    family: str
    layers: int
    problem: int
    arm: str
    length: int
    trials: int
    fingerprint: str
    ranks: tuple[int, ...]
    infeasible: int
    seconds: float
    gain: float | None = None
    version: str = ""
