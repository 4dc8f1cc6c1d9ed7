"""The elastic adapter: on a model until it is detached, of any rank vector up to its largest."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import Parameter

from rankspace.errors import TrialFailed
from rankspace.lease import WEIGHTS
from tuning.elastic.linear import ElasticLinear
from tuning.peft_back_end import lora_config


class ElasticAdapter:
    """One adapter on each of some modules of a model; see ``tuning.back_ends.Attached``.

    Args:
        model: A causal language model whose weights require no gradients.
        largest: Full module name to its largest rank, at least 1.
        alpha_per_rank: Scale of every adapter, whatever its rank.
        seed: Of the starting values, see ``tuning.initialisation``.
    """

    def __init__(
        self, model: Any, largest: Mapping[str, int], *, alpha_per_rank: float, seed: int
    ) -> None:
        self._model = model
        self._scale = alpha_per_rank
        self._layers = {
            name: ElasticLinear(
                model.get_submodule(name), name, rank, scale=alpha_per_rank, seed=seed
            )
            for name, rank in largest.items()
        }
        for name, layer in self._layers.items():
            _put(model, name, layer)

    @property
    def parameters(self) -> Sequence[Parameter]:
        return tuple(p for layer in self._layers.values() for p in (layer.down, layer.up))

    @property
    def largest(self) -> Mapping[str, int]:
        """Full module name to its largest rank."""
        return {name: layer.largest for name, layer in self._layers.items()}

    def choose(self, ranks: Mapping[str, int]) -> None:
        """Be the adapter of ``ranks``; a module that is not named has rank 0.

        Raises:
            TrialFailed: A module without an adapter, or a rank above its largest.
        """
        for name, rank in ranks.items():
            if rank > self.largest.get(name, 0):
                most = self.largest.get(name, 0)
                raise TrialFailed(f"the elastic adapter of {name} has rank {most}, not {rank}")
        for name, layer in self._layers.items():
            layer.rank, layer.diagonal = ranks.get(name, 0), None

    def average(self, vectors: Sequence[Mapping[str, int]]) -> None:
        """Be the mean of the adapters of ``vectors``, at least one, in a single pass.

        A row of A counts as often as a vector has it, so the diagonal between A and B falls from
        the first row to the last.

        Source: MatryoshkaLoRA (arXiv 2605.07850), whose diagonal sums the scales of the ranks that
        are trained; here its mean over rank vectors.
        """
        for name, layer in self._layers.items():
            ranks = torch.tensor([vector.get(name, 0) for vector in vectors])
            shares = (ranks[:, None] > torch.arange(layer.largest)).float().mean(dim=0)
            layer.diagonal = shares.to(layer.down.device)

    def save(self, directory: Path) -> None:
        """Write the adapter of the largest ranks as peft reads it."""
        if not self._layers:
            return
        directory.mkdir(parents=True, exist_ok=True)
        lora_config(self.largest, self._scale).save_pretrained(str(directory))
        matrices = {
            key: matrix.detach().cpu().contiguous() for key, matrix in self._stored().items()
        }
        save_file(matrices, directory / WEIGHTS, metadata={"format": "pt"})

    @torch.no_grad()
    def load(self, weights: Path) -> None:
        """Take over what ``save`` wrote to the file ``weights``, of the same largest ranks.

        Raises:
            TrialFailed: It holds something else.
        """
        try:
            found = load_file(weights)
        except (SafetensorError, OSError) as error:
            raise TrialFailed(f"the elastic adapter cannot be read: {error}") from error
        mine = self._stored()
        if {k: v.shape for k, v in found.items()} != {k: v.shape for k, v in mine.items()}:
            raise TrialFailed("the stored elastic adapter is of another study")
        if not all(bool(torch.isfinite(matrix).all()) for matrix in found.values()):
            raise TrialFailed("the stored elastic adapter is not finite")
        for key, matrix in mine.items():
            matrix.copy_(found[key])

    def detach(self) -> None:
        """Give the model back as it was, bit by bit."""
        for name, layer in self._layers.items():
            _put(self._model, name, layer.base)
        self._layers = {}

    def _stored(self) -> Mapping[str, Tensor]:
        """By the names that peft gives them in a file."""
        return {
            f"base_model.model.{name}.lora_{letter}.weight": matrix
            for name, layer in self._layers.items()
            for letter, matrix in (("A", layer.down), ("B", layer.up))
        }


def _put(model: Any, name: str, module: Any) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
