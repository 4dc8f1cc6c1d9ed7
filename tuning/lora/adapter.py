"""LoraAdapter: our own low-rank adapter, on a model until it is detached."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Linear, Parameter

from tuning.initialisation import first_matrix
from tuning.lora.files import save_adapter, stored
from tuning.lora.linear import LoraLinear
from tuning.lora.masters import Masters
from tuning.lora.places import plain_linear, put


class LoraAdapter:
    """One adapter on each of some modules of a model; see ``tuning.back_ends.Attached``.

    Args:
        model: A causal language model whose weights require no gradients.
        ranks: Full module name to its rank, at least 1.
        alpha_per_rank: Scale of every adapter, whatever its rank.
        seed: Of the starting values, see ``tuning.initialisation``.

    Raises:
        TrialFailed: A module is not there, or is no plain linear layer; the model is as it was.
    """

    def __init__(
        self, model: Any, ranks: Mapping[str, int], *, alpha_per_rank: float, seed: int
    ) -> None:
        bases = {name: plain_linear(model, name) for name in ranks}
        self._model = model
        self._scale = alpha_per_rank
        shapes = [
            (ranks[name], base.in_features, base.out_features) for name, base in bases.items()
        ]
        self._masters = Masters(shapes, model.dtype, model.device)
        self._layers = dict(zip(ranks, self._wrapped(bases), strict=True))
        self._initialise(seed)
        for name, layer in self._layers.items():
            put(model, name, layer)
        # Before each pass, not each step: nothing says when the parameters were changed.
        decoder = model.get_decoder()
        self._hook = decoder.register_forward_pre_hook(lambda *_: self._masters.refresh())

    @property
    def parameters(self) -> Sequence[Parameter]:
        return self._masters.parameters

    @property
    def matrices(self) -> Mapping[str, tuple[Parameter, Parameter]]:
        return {name: (layer.down, layer.up) for name, layer in self._layers.items()}

    @property
    def largest(self) -> Mapping[str, int]:
        """Full module name to its rank, or where that can change to its largest."""
        return {name: layer.largest for name, layer in self._layers.items()}

    def save(self, directory: Path) -> None:
        """Write peft's two files, of the largest ranks; nothing where there is no adapter."""
        if not self._layers:
            return
        save_adapter(directory, self.largest, self._scale, self._stored())

    def detach(self) -> None:
        for name, layer in self._layers.items():
            put(self._model, name, layer.base)
        self._hook.remove()
        self._layers = {}
        self._masters = Masters((), self._model.dtype, self._model.device)

    def _wrapped(self, bases: Mapping[str, Linear]) -> Iterator[LoraLinear]:
        masters, copies = iter(self._masters.parameters), iter(self._masters.copies)
        for base in bases.values():
            pair = next(masters), next(masters)
            yield LoraLinear(base, pair, (next(copies), next(copies)), self._scale)

    @torch.no_grad()
    def _initialise(self, seed: int) -> None:
        for name, layer in self._layers.items():
            layer.down.copy_(first_matrix(seed, name, *layer.down.shape))

    def _stored(self) -> Mapping[str, Tensor]:
        """By the names that peft gives them in a file."""
        return stored(self.matrices)
