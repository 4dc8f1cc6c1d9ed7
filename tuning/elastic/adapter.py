"""The elastic adapter: on a model until it is detached, of any rank vector up to its largest."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from rankspace.errors import TrialFailed
from tuning.lora.adapter import LoraAdapter


class ElasticAdapter(LoraAdapter):
    """An adapter of the largest ranks, in whose place smaller ones can be used."""

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
