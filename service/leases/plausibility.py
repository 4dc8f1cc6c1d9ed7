"""Plausibility: whether a measurement can be that of the trial it is reported for."""

from dataclasses import dataclass

from rankspace import Measurement
from rankspace.errors import InvalidInput

SLACK_SECONDS, SLACK_SHARE = 10.0, 0.01
"""What the worker's clock may gain on the database's, at least and of the whole time."""


class ImplausibleMeasurement(InvalidInput):
    """What was reported cannot have been measured in this trial."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a measurement may say.

    Attributes:
        parameters: What the trial's vector costs, by the model's description.
        steps: Those assigned; 0 for whole epochs, whose steps only the worker can count.
        seconds: Since the claim, by the database's clock.
    """

    parameters: int
    steps: int
    seconds: float

    def check(self, measured: Measurement) -> None:
        """Refuse what cannot be.

        Raises:
            ImplausibleMeasurement: Names the field.
        """
        for check in (self._check_parameters, self._check_steps, self._check_seconds):
            check(measured)

    def _check_parameters(self, measured: Measurement) -> None:
        if measured.parameters != self.parameters:
            problem = f"the rank vector costs {self.parameters:,}"
            fix = "train what was assigned; or the model is described wrongly: register it anew"
            raise ImplausibleMeasurement(
                "measurement.parameters", measured.parameters, problem, fix=fix
            )

    def _check_steps(self, measured: Measurement) -> None:
        if measured.steps < 0 or 0 < self.steps < measured.steps:
            problem = f"must be 0 to {self.steps or 'the steps of the epochs'}"
            fix = "take the steps that were assigned"
            raise ImplausibleMeasurement("measurement.steps", measured.steps, problem, fix=fix)

    def _check_seconds(self, measured: Measurement) -> None:
        train = measured.seconds.get("train", 0.0)
        slack = SLACK_SECONDS + SLACK_SHARE * self.seconds
        if not 0.0 <= train <= self.seconds + slack:
            problem = f"the trial was claimed {self.seconds:.1f} s ago"
            raise ImplausibleMeasurement(
                "measurement.seconds.train", train, problem, fix="mend the clock"
            )
