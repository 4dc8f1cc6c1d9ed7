"""What a method is given where nobody says, and what only one that trains is asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pruning.methods.plan import TrainingSettings
from pruning.methods.settings import PrunerName
from pruning.profiling.calibration_text import CalibrationText
from rankadaptor.blocks import parse_blocks
from rankspace.errors import InvalidInput


def all_but_ends(count: int) -> tuple[int, ...]:
    return parse_blocks(None, count)


@dataclass(frozen=True, slots=True)
class Usual:
    """What holds where an option is left out.

    Attributes:
        samples: Calibration windows.
        length: Tokens of each.
        blocks: Those to prune, of so many.
        doing: What is going on, for a progress bar.
        trains: Whether it trains on the windows.
    """

    samples: int = 10
    length: int = 64
    blocks: Callable[[int], tuple[int, ...]] = all_but_ends
    doing: str = "looking at the weights"
    trains: bool = False

    def calibration(
        self, text: Path, samples: int | None, length: int | None, seed: int
    ) -> CalibrationText:
        """Return what is drawn of ``text``; None is what is usual."""
        return CalibrationText(
            text,
            self.samples if samples is None else samples,
            self.length if length is None else length,
            seed,
        )


def all_but_first_tenth_and_last(count: int) -> tuple[int, ...]:
    """Return the blocks that LoRAPrune (arXiv 2305.18403) prunes of ``count``; one at least."""
    return tuple(range(count // 10, max(1, count - 1)))


OWN: Mapping[PrunerName, Usual] = MappingProxyType(
    {PrunerName.LORAPRUNE: Usual(1024, 256, all_but_first_tenth_and_last, "training", trains=True)}
)


def usual_of(method: PrunerName) -> Usual:
    return OWN.get(method, Usual())


def training_of(
    method: PrunerName, epochs: int | None, batch: int | None, learning_rate: float | None
) -> TrainingSettings:
    """Return how to train; None is the default.

    Raises:
        InvalidInput: The method does not train and something is asked for, or is out of range.
    """
    asked = {"epochs": epochs, "batch": batch, "learning_rate": learning_rate}
    given = {name: value for name, value in asked.items() if value is not None}
    if given and not usual_of(method).trains:
        name, value = next(iter(given.items()))
        field = f"--{name.replace('_', '-')}"
        trained = ", ".join(one for one in PrunerName if usual_of(one).trains)
        fix = f"leave it out, or use {trained}"
        raise InvalidInput(field, value, f"is of methods that train, not of {method}", fix=fix)
    return TrainingSettings(**given)  # type: ignore[arg-type]  # each of its own type
