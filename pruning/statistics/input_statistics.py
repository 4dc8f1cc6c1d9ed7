"""InputStatistics: what the features that a matrix is fed are like, told in batches."""

import torch


class InputStatistics:
    """Moments of the vectors ``x``, ``(d_in,)``, that a matrix is fed over all calibration tokens.

    Means and deviations are joined batch by batch in float64 (Chan, Golub & LeVeque, 1983): a
    difference of large sums would lose the variance of a feature that is far from 0.

    Attributes:
        count: Vectors seen.
    """

    def __init__(self, *, gram: bool = False) -> None:
        self.count = 0
        self._keeps_gram = gram
        self._mean: torch.Tensor | None = None
        self._scatter: torch.Tensor | None = None  # sums of squared deviations from the mean
        self._gram: torch.Tensor | None = None

    def add(self, inputs: torch.Tensor) -> None:
        """Look at ``inputs``, ``(..., d_in)``, every one of them text."""
        rows = inputs.detach().flatten(0, -2).float()
        mean = rows.mean(dim=0, dtype=torch.float64)
        scatter = (rows - mean.float()).square().sum(dim=0, dtype=torch.float64)
        if self._mean is None or self._scatter is None:
            self._mean, self._scatter = torch.zeros_like(mean), torch.zeros_like(scatter)
        total, away = self.count + len(rows), mean - self._mean
        self._mean = self._mean + away * (len(rows) / total)
        self._scatter = self._scatter + scatter + away.square() * (self.count * len(rows) / total)
        self.count = total
        if self._keeps_gram:
            gram = rows.T @ rows
            self._gram = gram if self._gram is None else self._gram.add_(gram)

    @property
    def mean(self) -> torch.Tensor:
        """Of each feature, ``(d_in,)``, float64."""
        assert self._mean is not None, "no input was seen"
        return self._mean

    @property
    def variance(self) -> torch.Tensor:
        """Of each feature about its mean, over ``count - 1``, ``(d_in,)``, float64."""
        assert self._scatter is not None, "no input was seen"
        return self._scatter / max(1, self.count - 1)

    @property
    def norm(self) -> torch.Tensor:
        """Euclidean norm of each feature over all vectors, ``(d_in,)``, float64."""
        assert self._scatter is not None, "no input was seen"
        return (self._scatter + self.count * self.mean.square()).sqrt()

    @property
    def gram(self) -> torch.Tensor:
        """``X^T X`` of all vectors, ``(d_in, d_in)``, float32."""
        assert self._gram is not None, "the Gram matrix was not asked for"
        return self._gram
