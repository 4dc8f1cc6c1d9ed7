"""Moments: all that least squares have to know of a matrix's inputs and of what it misses."""

import torch


class Moments:
    """Sums over tokens of inputs ``x``, ``(d_in,)``, and residuals ``e``, ``(d_out,)``, in float64.

    With ``E`` the rows of residuals and ``X`` those of inputs, a change ``D``, ``(d_out, d_in)``,
    of the matrix leaves ``||E - X D^T||^2 = ||E||^2 - 2 <D, E^T X> + <D X^T X, D>``.

    Attributes:
        count: Tokens seen.
        gram: ``X^T X``, ``(d_in, d_in)``.
        cross: ``E^T X``, ``(d_out, d_in)``.
        square: ``||E||^2``.
        reference: Squared norm of all targets.
    """

    def __init__(self, d_in: int, d_out: int, device: torch.device | str = "cpu") -> None:
        self.count = 0
        self.gram = torch.zeros(d_in, d_in, dtype=torch.float64, device=device)
        self.cross = torch.zeros(d_out, d_in, dtype=torch.float64, device=device)
        self.square = 0.0
        self.reference = 0.0

    def add(self, inputs: torch.Tensor, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        """Look at some windows.

        Args:
            inputs: ``(..., d_in)``.
            outputs: What the matrix writes, ``(..., d_out)``.
            targets: What it is to write, as many.
        """
        x, y, target = (
            part.detach().flatten(0, -2).double() for part in (inputs, outputs, targets)
        )
        residual = target - y
        self.count += len(x)
        self.gram.addmm_(x.T, x)
        self.cross.addmm_(residual.T, x)
        self.square += float(residual.square().sum())
        self.reference += float(target.square().sum())

    @property
    def is_finite(self) -> bool:
        """Whether every number seen was one."""
        return bool(
            torch.isfinite(self.gram).all()
            and torch.isfinite(self.cross).all()
            and self.square < float("inf")  # nor is NaN
            and self.reference < float("inf")
        )

    def error(self, change: torch.Tensor | None = None) -> float:
        """Return ``||E - X D^T||^2`` over the squared norm of the targets, 0 if that is 0.

        ``change`` is ``D``, ``(d_out, d_in)``, float64; None leaves the matrix as it is.
        """
        left = self.square
        if change is not None:
            left += float(((change @ self.gram - 2 * self.cross) * change).sum())
        return max(0.0, left) / self.reference if self.reference else 0.0
