"""Recipe: how the pruned model is fine-tuned. Every default is the one used everywhere.

Inputs: what of it lies in files, as hashes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, Self

from rankspace.data_shape import DataFormat
from rankspace.errors import InvalidInput
from rankspace.wire import LATER

MAX_LENGTH = 2**20
MAX_EXAMPLES = 10_000_000
LEAST_HELD_OUT = 2
"""One example for each half."""

LINEAR_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

AUTOMATIC: Mapping[str, Literal["float32", "bfloat16"]] = MappingProxyType(
    {"cpu": "float32", "cuda": "bfloat16"}
)
"""What ``Recipe.dtype: auto`` comes to, by kind of device."""

STATED: Mapping[str, str] = MappingProxyType(
    {"data": "data_sha256", "tokenizer": "tokenizer_sha256", "reading": "data_reading"}
)
"""What a measurement calls the inputs among its versions."""

UNSTATED_READING = 1
"""How training data were read by workers that do not say how: those of before protocol 3."""

_HASHES = ("data", "tokenizer")
_HASH = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9]{1,6}")
_MOST_READINGS = 999_999


@dataclass(frozen=True, slots=True)
class Data:
    """Training text and what is held out of it.

    Attributes:
        train: Path of a file of rows: JSON lines, one JSON array, CSV or Parquet; for ``text`` also
            plain text. UTF-8, which gzip may have packed. Or a file of the Hugging Face cache, as
            ``hf://datasets/ORGANISATION/NAME@COMMIT/FILE``.
        format: ``instruction`` trains on the answers to instructions (Alpaca, Dolly);
            ``completion`` on what follows prompts; ``chat`` on the assistant's turns of
            conversations (messages, ShareGPT), as the model's chat template writes them; ``text``
            on every token.
        held_out: Examples held out, half for selection and half for final scoring; those that say
            the same stay together, so a few less where they do not come out even.
    """

    train: str
    format: DataFormat = "instruction"
    held_out: int = 2000

    def __post_init__(self) -> None:
        fits = LEAST_HELD_OUT <= self.held_out <= MAX_EXAMPLES
        _require(
            fits, "held_out", self.held_out, "needs one example per half, at most ten million", "2"
        )
        _require(bool(self.train), "train", self.train, "is empty", "the path of a text file")


@dataclass(frozen=True, slots=True)
class Batch:
    """How many examples at once.

    Attributes:
        examples: Per optimiser step.
        micro: Per forward pass; divides ``examples``. ``auto`` counts padded tokens instead, as
            many as a worker's device is fast with and has room for. It changes rounding only.
    """

    examples: int = 64
    # Left out where it is auto: a worker of before then takes its own default, 4.
    micro: int | Literal["auto"] = field(default="auto", metadata=LATER)

    def __post_init__(self) -> None:
        micro = 1 if self.micro == "auto" else self.micro
        _require(micro >= 1, "micro", micro, "must be positive", "1")
        fits = 1 <= self.examples <= MAX_EXAMPLES and self.examples % micro == 0
        problem = f"must be a multiple of micro = {micro}, at least 1, at most ten million"
        _require(fits, "examples", self.examples, problem, str(micro))


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
        sequence_length: Tokens per example, at most what the model is made for; longer ones are
            cut, and dropped where no answer is left.
        batch: Examples per step.
        optimizer: AdamW settings.
        alpha_per_rank: LoRA alpha divided by rank, the same in every module, so that a rank is
            not a hidden learning rate.
        modules: Kinds of matrices that may carry an adapter.
        dtype: Base weights: ``auto`` is bfloat16 where a worker with a GPU is the first to claim a
            trial of the study, and float32 where one without is; all other trials have the same.
    """

    data: Data
    sequence_length: int = 256
    batch: Batch = field(default_factory=Batch)
    optimizer: Optimizer = field(default_factory=Optimizer)
    alpha_per_rank: float = 2.0
    modules: tuple[str, ...] = LINEAR_MODULES
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"

    def at_rate(self, factor: float) -> Self:
        """The same at so many times the learning rate; itself where that is 1."""
        if factor == 1.0:
            return self
        rate = factor * self.optimizer.learning_rate
        return replace(self, optimizer=replace(self.optimizer, learning_rate=rate))

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


@dataclass(frozen=True, slots=True)
class Inputs:
    """What scores are measured on beside the model; equal, or they are not compared.

    Attributes:
        data: SHA-256 of the training file, in hexadecimal; ``rankadaptor submit`` fills it in.
            Left out, the first accepted trial says it.
        tokenizer: SHA-256 of what the tokenizer makes of a fixed text, and for conversations of
            its chat template; likewise.
        reading: Version of how a file is read and divided, ``tuning.data.READING``; likewise.
    """

    data: str | None = None
    tokenizer: str | None = None
    reading: int | None = None

    def __post_init__(self) -> None:
        for name in _HASHES:
            value = getattr(self, name)
            if value is not None and not _HASH.fullmatch(value):
                fix = "leave it out, rankadaptor submit finds it; or give 64 hexadecimal digits"
                raise InvalidInput(name, value, "is no SHA-256", fix=fix)
        if self.reading is not None and not 1 <= self.reading <= _MOST_READINGS:
            raise _no_version(self.reading)

    @classmethod
    def of(cls, versions: Mapping[str, str]) -> Self:
        """Read what a measurement states; who does not say how it read did so as all once did.

        Raises:
            InvalidInput: It is no hash, or no version.
        """
        reading = versions.get(STATED["reading"], str(UNSTATED_READING))
        if not _VERSION.fullmatch(reading):
            raise _no_version(reading)
        data, tokenizer = (versions.get(STATED[name]) for name in _HASHES)
        return cls(data, tokenizer, int(reading))

    def stated(self) -> dict[str, str]:
        """Return the entries of a measurement's versions."""
        found = {key: getattr(self, name) for name, key in STATED.items()}
        return {key: str(value) for key, value in found.items() if value is not None}

    def differing(self, other: "Inputs") -> tuple[str, ...]:
        """Name what both know and do not agree on."""
        return tuple(name for name in STATED if self._contradicts(other, name))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Name what nobody has said."""
        return tuple(name for name in STATED if getattr(self, name) is None)

    def completed(self, other: "Inputs") -> "Inputs":
        """Return the same, with what only ``other`` knows."""
        return Inputs(
            self.data or other.data,
            self.tokenizer or other.tokenizer,
            self.reading or other.reading,
        )

    def confirmed(self, found: "Inputs") -> "Inputs":
        """Return what a study names, completed by what is found of its files.

        Raises:
            InvalidInput: It is something else; names the field of the study.
        """
        for name in self.differing(found):
            problem = f"what is found is {getattr(found, name)}"
            fix = "take the line out, or put back what it was made of"
            raise InvalidInput(f"inputs.{name}", getattr(self, name), problem, fix=fix)
        return self.completed(found)

    def _contradicts(self, other: "Inputs", name: str) -> bool:
        mine, theirs = getattr(self, name), getattr(other, name)
        return mine is not None and theirs is not None and mine != theirs


def _no_version(found: object) -> InvalidInput:
    fix = "leave it out, rankadaptor submit finds it; or count from 1"
    return InvalidInput("reading", found, "is no version", fix=fix)


def _require(holds: bool, field_name: str, value: object, problem: str, example: str) -> None:
    if not holds:
        raise InvalidInput(field_name, value, problem, fix=f"for example {example}")
