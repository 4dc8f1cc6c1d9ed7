"""Which examples make a step, and how examples become tensors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tuning.examples import Example
from tuning.seeds import stream_seed


@dataclass(frozen=True, slots=True)
class Batch:
    """Right-padded examples.

    A causal model never looks at what follows, so padding on the right needs no attention mask:
    leaving it out is exact, and keeps the attention kernels on their fast causal path.

    Attributes:
        inputs: Token ids, ``(b, t)``: every example without its last token, padded with 0.
        positions: Where in the flattened ``(b * t,)`` a token is predicted, ``(n,)``; None if
            that is everywhere.
        targets: The token to predict there, ``(n,)``.
    """

    inputs: Tensor
    positions: Tensor | None
    targets: Tensor


@dataclass(frozen=True, slots=True)
class Passes:
    """How the examples of a step are cut into forward passes: results differ in rounding only.

    Attributes:
        examples: Of a pass, at most.
        length: Tokens of the longest example there is. Where it is given a pass may have as many
            padded tokens as ``examples`` of that length, so of shorter ones more.
        recomputes: Whether blocks are computed twice, to keep less: see
            ``tuning.forward.recomputation``.
    """

    examples: int
    length: int | None = None
    recomputes: bool = False

    @classmethod
    def of_tokens(cls, tokens: int, length: int, most: int) -> Self:
        """Fill a pass with so many padded tokens, though with at least one example.

        Args:
            tokens: Of a pass.
            length: Tokens of the longest example.
            most: Examples of a step: there are no more to a pass.
        """
        return cls(min(max(1, tokens // length), most), length)

    def cut(self, step: Sequence[Example]) -> list[Sequence[Example]]:
        """Return the passes of ``step``, the longest examples first."""
        if self.length is not None:
            return list(batched(step, self.examples * self.length))
        return [step[at : at + self.examples] for at in range(0, len(step), self.examples)]

    def smaller(self) -> Self | None:
        """Return what takes less memory: half as many examples, then one computed twice.

        Nothing takes less than that.
        """
        if self.examples > 1:
            return replace(self, examples=self.examples // 2)
        return None if self.recomputes else replace(self, recomputes=True)

    def __str__(self) -> str:
        return f"{self.examples}" if self.length is None else f"{self.examples} x {self.length}"


def batched(examples: Sequence[Example], most: int) -> list[list[Example]]:
    """Group by length into batches of at most ``most`` padded tokens, at least one example."""
    batches: list[list[Example]] = []
    # Longest first: memory runs out at once or not at all.
    for example in sorted(examples, key=lambda one: len(one.tokens), reverse=True):
        if not batches or (len(batches[-1]) + 1) * len(batches[-1][0].tokens) > most:
            batches.append([])
        batches[-1].append(example)
    return batches


def collate(examples: Sequence[Example], device: torch.device) -> Batch:
    """Pad ``examples`` into one batch on ``device``; nobody waits for it to be there."""
    inputs = pad_sequence([e.tokens[:-1] for e in examples], batch_first=True)
    places = [e.predicted for e in examples]
    pairs = zip(examples, places, strict=True)
    targets = _sent(torch.cat([e.tokens[place] for e, place in pairs]), device).long()
    if len(targets) == inputs.numel():
        return Batch(_sent(inputs, device).long(), None, targets)
    width = inputs.shape[1]
    # What a token is predicted from stands one place before it.
    flat = [row * width + place - 1 for row, place in enumerate(places)]
    return Batch(_sent(inputs, device).long(), _sent(torch.cat(flat), device), targets)


def _sent(tensor: Tensor, device: torch.device) -> Tensor:
    """From pages that a GPU may read by itself, while more is worked out here."""
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def schedule(
    examples: Sequence[Example], per_step: int, steps: int, seed: int
) -> Iterator[tuple[Example, ...]]:
    """Yield ``steps`` steps of ``per_step`` examples: reshuffled passes over the data.

    The order depends on ``seed`` and the data only, so trials with equal seeds are paired.
    Within a step the examples go by length, the longest first: its micro-batches then hardly need
    padding, and memory runs out at once or hardly ever, while which examples meet in a step stays
    random.
    """
    stream = shuffled_forever("order", len(examples), seed)
    for _ in range(steps):
        chosen = [examples[i] for i in islice(stream, per_step)]
        yield tuple(sorted(chosen, key=lambda example: len(example.tokens), reverse=True))


def steps_of_epochs(examples: int, per_step: int, epochs: int) -> int:
    """Whole steps in ``epochs`` passes, at least one."""
    return max(1, examples * epochs // per_step)


def shuffled_forever(what: str, count: int, seed: int) -> Iterator[int]:
    """Yield the numbers below ``count``, at least 1, in pass after pass, each in its own order.

    ``what`` is shuffled, and ``seed``, make the stream.
    """
    epoch = 0
    while True:
        generator = torch.Generator().manual_seed(stream_seed(what, seed, epoch))
        yield from torch.randperm(count, generator=generator).tolist()
        epoch += 1
