"""HiddenStates: calibration windows on their way through the decoder, block by block."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, decoder_of

BATCH_TOKENS = 256
"""Of the windows run together, as in ``pruning.profiling.gradients``; of one window at least."""

Arguments = Mapping[str, Any]
"""What a block is called with besides its input: mask and positions of windows of one length."""


class HiddenStates:
    """What the windows are before one block after the other; they live on the host.

    No block is run to begin with. Two copies are held at a time: before a block, and after it.
    """

    @torch.no_grad()
    def __init__(self, model: PreTrainedModel, windows: torch.Tensor) -> None:
        """Embed ``windows``, token ids of ``(samples, length)``, none of them padding."""
        self._layers = blocks_of(model)
        self._device = model.device
        self._parts: list[torch.Tensor] = []
        self._arguments: dict[int, list[Arguments]] = {}  # by windows in a part, and by block
        for part in torch.split(windows, max(1, BATCH_TOKENS // windows.shape[1])):
            embedded, arguments = _embed(model, part.to(model.device))
            self._parts.append(embedded.cpu())
            # No argument depends on the tokens, so one part of each size speaks for all.
            self._arguments.setdefault(len(part), arguments)

    @torch.no_grad()
    def through(self, index: int) -> list[torch.Tensor]:
        """Run block ``index`` as it is; return its outputs, parts of ``(n, length, hidden)``."""
        return [
            self._layers[index](part.to(self._device), **self._arguments[len(part)][index]).cpu()
            for part in self._parts
        ]

    @property
    def parts(self) -> Sequence[torch.Tensor]:
        """What the next block is fed, parts of ``(n, length, hidden)``."""
        return self._parts

    def gram(self) -> torch.Tensor:
        """Inner products of the windows' hidden states, each flattened, ``(samples, samples)``.

        In float64, over some tokens of all windows at a time.
        """
        length = self._parts[0].shape[1]
        stride = max(1, BATCH_TOKENS // sum(len(part) for part in self._parts))
        total: torch.Tensor | None = None
        for begin in range(0, length, stride):
            some = [part[:, begin : begin + stride] for part in self._parts]
            rows = torch.cat(some).flatten(1).double()
            total = rows @ rows.T if total is None else total + rows @ rows.T
        assert total is not None
        return total

    def move(self, outputs: list[torch.Tensor]) -> None:
        """Let ``outputs`` be what the next block is fed."""
        self._parts = outputs


class _Recorder(nn.Module):
    """Stands in a block's place and passes on what it is fed."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = torch.empty(0)
        self.arguments: Arguments = {}

    def forward(self, hidden: torch.Tensor, **arguments: Any) -> torch.Tensor:
        self.hidden, self.arguments = hidden, arguments
        return hidden


def _embed(model: PreTrainedModel, windows: torch.Tensor) -> tuple[torch.Tensor, list[Arguments]]:
    """Return what the first block is fed, and what each is called with besides."""
    with _recorders(model) as recorders:
        decoder_of(model)(input_ids=windows, use_cache=False)
    return recorders[0].hidden, [recorder.arguments for recorder in recorders]


@contextmanager
def _recorders(model: PreTrainedModel) -> Iterator[list[_Recorder]]:
    decoder = decoder_of(model)
    blocks, recorders = decoder.layers, [_Recorder() for _ in decoder.layers]
    decoder.layers = nn.ModuleList(recorders)
    try:
        yield recorders
    finally:
        decoder.layers = blocks
