"""Recipe: how the pruned model is fine-tuned. Every default is the one used everywhere."""

from dataclasses import dataclass, field
from typing import Literal

from rankspace.errors import InvalidInput

MAX_LENGTH = 2**20
MAX_EXAMPLES = 10_000_000
LINEAR_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class Data:
    """Training text and what is held out of it.

    Attributes:
        train: Path of a UTF-8 file: ``.jsonl`` rows of instruction/input/output, or plain text.
        format: ``instruction`` trains on the answers only; ``text`` on every token.
        held_out: Examples held out, half for selection and half for final scoring.
    """

    train: str
    format: Literal["instruction", "text"] = "instruction"
    held_out: int = 2000

    def __post_init__(self) -> None:
        fits = 2 <= self.held_out <= MAX_EXAMPLES
        _require(
            fits, "held_out", self.held_out, "needs one example per half, at most ten million", "2"
        )
        _require(bool(self.train), "train", self.train, "is empty", "the path of a text file")


@dataclass(frozen=True, slots=True)
class Batch:
    """How many examples at once.

    Attributes:
        examples: Per optimiser step.
        micro: Per forward pass; divides ``examples``.
    """

    examples: int = 64
    micro: int = 4

    def __post_init__(self) -> None:
        _require(self.micro >= 1, "micro", self.micro, "must be positive", "1")
        fits = 1 <= self.examples <= MAX_EXAMPLES and self.examples % self.micro == 0
        _require(
            fits,
            "examples",
            self.examples,
            f"must be a multiple of micro = {self.micro}",
            str(self.micro),
        )


@dataclass(frozen=True, slots=True)
class Optimizer:
    """AdamW with linear warm-up and linear decay to zero over the steps that are trained.

    Attributes:
        name: The optimiser.
        learning_rate: Its peak.
        warmup_steps: Steps to the peak, but at most a tenth of the steps trained.
        weight_decay: Decoupled decay of the adapter's weights.
        gradient_clip: Largest norm of a step's gradient.
    """

    name: Literal["adamw"] = "adamw"
    learning_rate: float = 1e-4
    warmup_steps: int = 100
    weight_decay: float = 0.0
    gradient_clip: float = 1.0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "gradient_clip"):
            value = getattr(self, name)
            _require(value > 0, name, value, "must be positive", "1e-4")
        for name in ("warmup_steps", "weight_decay"):
            value = getattr(self, name)
            _require(value >= 0, name, value, "must not be negative", "0")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is held fixed while the ranks change.

    Attributes:
        data: Training text.
        sequence_length: Tokens per example; longer ones are cut.
        batch: Examples per step.
        optimizer: AdamW settings.
        alpha_per_rank: LoRA alpha divided by rank, the same in every module, so that a rank is
            not a hidden learning rate.
        modules: Kinds of matrices that may carry an adapter.
        dtype: Base weights: ``auto`` is bfloat16 on a GPU and float32 on a CPU.
    """

    data: Data
    sequence_length: int = 256
    batch: Batch = field(default_factory=Batch)
    optimizer: Optimizer = field(default_factory=Optimizer)
    alpha_per_rank: float = 2.0
    modules: tuple[str, ...] = LINEAR_MODULES
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"

    def __post_init__(self) -> None:
        _require(
            2 <= self.sequence_length <= MAX_LENGTH,
            "sequence_length",
            self.sequence_length,
            f"must be 2 to {MAX_LENGTH:,} tokens",
            "256",
        )
        _require(
            self.alpha_per_rank > 0, "alpha_per_rank", self.alpha_per_rank, "must be positive", "2"
        )
        _require(bool(self.modules), "modules", [], "is empty", str(list(LINEAR_MODULES)))


def _require(holds: bool, field_name: str, value: object, problem: str, example: str) -> None:
    if not holds:
        raise InvalidInput(field_name, value, problem, fix=f"for example {example}")
