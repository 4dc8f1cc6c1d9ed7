"""Calibration: what a study's predictions were worth, judged by the results that came after."""

from dataclasses import dataclass, field
from enum import StrEnum

from rankspace.wire import LATER


class Trust(StrEnum):
    """Whether the model's predicted intervals may be believed."""

    TOO_EARLY = "too early to say"
    HOLDS = "intervals hold"
    NARROW = "intervals too narrow"
    WIDE = "intervals too wide"


@dataclass(frozen=True, slots=True)
class Noise:
    """What one trial scatters around what the model can say: its noise, and the model's misfit.

    A search that runs each vector once cannot tell the two apart, so this is never less than the
    noise, and more where the model lacks something.

    Attributes:
        sd: Standard deviation of one trial's score around the model's, seed effect apart.
        low: Lower end of its 90 % interval.
        high: Upper end.
        source: What the estimate rests on, for a person.
    """

    sd: float
    low: float
    high: float
    source: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many results fell into their central predicted interval.

    Attributes:
        level: Share that should, 0.5, 0.8 or 0.95.
        inside: How many did.
        count: Of how many.
        low: Lower end of the 95 % interval of the true share.
        high: Upper end.
    """

    level: float
    inside: int
    count: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Correlation:
    """A rank correlation of predicted and observed scores, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Predicted:
    """One trial: what was predicted before it ran, and what came out.

    Attributes:
        trial: Identity of the trial.
        mean: Predicted score.
        std: Standard deviation of the prediction, the trial's own noise included.
        score: The result.
    """

    trial: int
    mean: float
    std: float
    score: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the predictions of a study fared; each was made before its result was known.

    Attributes:
        trust: Whether the predicted intervals may be believed.
        summary: The same in plain words.
        coverage: At 50, 80 and 95 %.
        spearman: None with fewer than five predictions, or if all were the same.
        kendall: Likewise.
        bias: Mean of score minus prediction, in score units.
        crps: Mean continuous ranked probability score of the predictions, in score units; lower is
            better. None without predictions.
        crps_baseline: The same of a forecaster who knows only the earlier scores' mean and spread.
        noise: As estimated now; None until there is an estimate.
        points: Predicted against observed, in the order of the results; of very many the latest.
        age_seconds: How long ago it was computed; 0 while it knows every result there is.
    """

    trust: Trust
    summary: str
    coverage: tuple[Coverage, ...]
    spearman: Correlation | None
    kendall: Correlation | None
    bias: float | None
    crps: float | None
    crps_baseline: float | None
    noise: Noise | None
    points: tuple[Predicted, ...]
    age_seconds: float = field(default=0.0, metadata=LATER)
