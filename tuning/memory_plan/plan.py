"""MemoryPlan: how many bytes each part of a training takes, and how many examples fit at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from rankspace.errors import InvalidInput
from tuning.losses import MOST_LOGITS, MOST_TRAINED
from tuning.measuring import BATCH_TOKENS
from tuning.memory_plan.activations import (
    kept_per_example,
    kept_recomputed,
    measuring_per_token,
    working_per_example,
    working_recomputed,
)
from tuning.memory_plan.training_shape import FLOAT, TrainingShape

GIB = 2**30

TRAINED = 4 * FLOAT
"""Bytes of a trainable parameter: itself, its gradient and AdamW's two moments, all float32."""

LOSS = 2 * FLOAT
"""Bytes of a logit when most of them live: itself and its probability, which becomes its gradient.
As many as ``tuning.losses.MOST_TRAINED`` are there at once."""

LIBRARIES: Mapping[str, int] = MappingProxyType({"cuda": 32 * 2**20, "cpu": 8 * 2**20})
"""Bytes that libraries of matrix products take for themselves, by kind of device: what torch gives
cuBLAS on Hopper, the most of any; what is left on a CPU where everything else is accounted for."""

HEADROOM = 0.1
"""Share of what is free that a plan leaves: allocators lose some between blocks of unlike sizes,
and the arithmetic is off by some (`python -m bench.memory`)."""


MORE = "use a device with more memory"


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes at the moment of a training at which most are taken.

    Attributes:
        weights: The base model.
        adapters: Parameters, gradients, the optimiser's moments, and copies in the base's type.
        activations: What is kept for the backward pass.
        logits: Of a slice of the predicted tokens, with what the loss makes of them, and the
            gradient that it hands back of all of them.
        workspace: What passes, and the libraries', as far as it is not the logits' afterwards.
    """

    weights: int
    adapters: int
    activations: int
    logits: int
    workspace: int

    @property
    def total(self) -> int:
        return self.weights + self.beside_weights

    @property
    def beside_weights(self) -> int:
        """What is still to be taken where the model is loaded."""
        return self.adapters + self.activations + self.logits + self.workspace

    @property
    def sentence(self) -> str:
        """Its parts in words."""
        return (
            f"weights {gib(self.weights)}, adapters {gib(self.adapters)}, activations "
            f"{gib(self.activations)}, logits {gib(self.logits)}, workspace {gib(self.workspace)}"
        )


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What a training takes, whatever its micro-batch.

    Attributes:
        weights: Bytes of the base model.
        adapters: Bytes of all that belongs to a trainable parameter.
        kept: Bytes of activations per example.
        logits: Bytes of logits and loss per example, of the tokens that are predicted.
        slice: Bytes of logits and loss that are there at once, whatever the micro-batch.
        returned: Bytes of the gradient that the loss hands back, per example.
        working: Bytes that pass in a block, per example.
        measuring: Bytes that the held-out loss takes beside weights and adapters; it takes fewer
            tokens at once where memory runs out.
        tokens: Of an example, the longest.
        libraries: Bytes that libraries take for themselves.
        is_mixed: Whether the base has a smaller type than float32 already.
        recomputes: Whether blocks are computed twice, to keep less.
    """

    weights: int
    adapters: int
    kept: int
    logits: int
    slice: int
    returned: int
    working: int
    measuring: int
    tokens: int
    libraries: int
    is_mixed: bool
    recomputes: bool = False

    @classmethod
    def of(cls, training: TrainingShape, kind: str, *, recomputes: bool = False) -> Self:
        """Work it out; an upper bound where other examples are shorter or predict less.

        Args:
            training: Of a model.
            kind: Of the device: ``cpu`` or ``cuda``.
            recomputes: Whether blocks are computed twice.
        """
        parameters = training.adapter_parameters
        cast = training.width if training.is_mixed else 0
        vocabulary = training.model.vocabulary
        return cls(
            weights=training.model.parameters * training.width,
            adapters=parameters * (TRAINED + cast),
            kept=(kept_recomputed if recomputes else kept_per_example)(training),
            logits=training.targets * vocabulary * LOSS,
            slice=max(MOST_TRAINED, vocabulary) * LOSS,
            returned=training.targets * training.model.hidden * training.width,
            working=(working_recomputed if recomputes else working_per_example)(training),
            measuring=_measuring(training) + LIBRARIES[kind],
            tokens=training.tokens,
            libraries=LIBRARIES[kind],
            is_mixed=training.is_mixed,
            recomputes=recomputes,
        )

    def use(self, micro: int) -> MemoryUse:
        """Return the parts with ``micro`` examples per forward pass.

        A block's passing tensors and the loss's are not there at the same time.
        """
        loss = min(micro * self.logits, self.slice) + micro * self.returned
        beyond = max(0, micro * self.working - loss)
        return MemoryUse(
            self.weights, self.adapters, micro * self.kept, loss, beyond + self.libraries
        )

    def largest(self, free: int, most: int) -> int:
        """Return ``most`` examples, or half as many as often as need be for them to fit.

        Args:
            free: Bytes for all of it, weights included; some headroom stays.
            most: The micro-batch asked for.

        Returns:
            Examples per forward pass; 0 where one does not fit even without the headroom.
        """
        micro, roomy = most, (1 - HEADROOM) * free
        while micro > 1 and self.use(micro).total > roomy:
            micro //= 2
        return micro if micro > 1 or self.use(1).total <= free else 0

    def refusal(self, free: int) -> InvalidInput:
        """Return the error that says why not one example fits into ``free`` bytes."""
        use, tokens = self.use(1), self.tokens + 1
        twice = ", its blocks computed twice," if self.recomputes else ""
        problem = (
            f"one example{twice} needs {gib(use.total)} where {gib(free)} are free: {use.sentence}"
        )
        return InvalidInput("recipe.sequence_length", tokens, problem, fix=self._fix(free))

    def _fix(self, free: int) -> str:
        use = self.use(1)
        fixed = use.weights + use.adapters + self.libraries
        if use.weights > free:
            smaller = f"{MORE}, or a model pruned further"
            return smaller if self.is_mixed else f"{smaller}, or recipe.dtype: bfloat16"
        if fixed > free:
            return f"{MORE}, or lower search.ranks and search.budget"
        fitting = max(2, int(self._share(free - fixed) * self.tokens))
        return f"lower recipe.sequence_length to {fitting}, or {MORE}"

    def _share(self, room: int) -> float:
        """Which part of an example takes ``room`` bytes, with a slice of its logits or all."""
        whole = self.kept + max(self.working, self.logits + self.returned)
        passing = self.kept + max(self.working, self.returned)
        return max(room / whole, (room - self.slice) / passing)


def gib(count: int) -> str:
    """Write a number of bytes for a person."""
    return f"{count / GIB:.2f} GiB" if count >= GIB else f"{count / 2**20:.0f} MiB"


def _measuring(training: TrainingShape) -> int:
    tokens = max(BATCH_TOKENS, training.tokens)
    logits = min(MOST_LOGITS, tokens * training.model.vocabulary)
    cast = training.width if training.is_mixed else 0
    per_logit = cast + 2 * FLOAT  # as the head writes it, cast up, its log-probability
    if training.model.caps_logits:
        per_logit = max(per_logit, 3 * training.width)  # before tanh, after it, and capped
    return max(tokens * measuring_per_token(training), logits * per_logit)
