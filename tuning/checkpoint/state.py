"""TrainingState: all that the steps of a training have changed, and so all that the next one needs.

No state of a random generator is part of it: a training draws from none. Which examples make a
step, and which forms the model takes at it, are functions of the seed and the step's number.
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Moments:
    """What AdamW knows of one parameter.

    Attributes:
        updates: How often it was updated, at least once.
        mean: Running mean of its gradient, of the parameter's shape.
        square: Running mean of the gradient's square, likewise.
    """

    updates: int
    mean: Tensor
    square: Tensor


@dataclass(frozen=True, slots=True)
class TrainingState:
    """A training after some of its steps.

    Attributes:
        parameters: What is trained, in float32, in the order of the training.
        moments: AdamW's, one for each; None for a parameter that was not updated yet.
        losses: Mean token loss of each step taken, in nats; as many as steps.
        tokens: Tokens read, padding excluded.
        micro: Examples per forward pass, of the greatest length where passes are measured by
            that; fewer than asked for where memory ran out.
    """

    parameters: tuple[Tensor, ...]
    moments: tuple[Moments | None, ...]
    losses: tuple[float, ...]
    tokens: int
    micro: int

    @property
    def step(self) -> int:
        """Steps taken."""
        return len(self.losses)


class Keeper(Protocol):
    """Keeps a training's states, so that another process can go on from one."""

    def found(self) -> TrainingState | None:
        """Return the state to go on from; None to begin."""
        ...

    def is_due(self) -> bool:
        """Whether the state after this step is to be kept; asked after every step."""
        ...

    def leave(self, state: TrainingState) -> None:
        """Keep ``state`` if that is worth it: the process is about to leave the training."""
        ...

    def keep(self, state: TrainingState) -> None:
        """Keep ``state``, whose tensors are the training's own: the next step changes them."""
        ...
