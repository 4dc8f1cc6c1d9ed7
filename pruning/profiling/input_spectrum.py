"""InputSpectrum: how much of what a matrix is fed lies along few directions."""

from collections.abc import Mapping

import torch
from torch import nn

from rankspace.errors import InvalidInput
from rankspace.layer_profile import COMPONENTS, most_components

LEAST_KEPT = 2 * COMPONENTS
"""Rows of an input's basis. Twice as many as are asked for, as peft takes, are few where few are
asked for: of an input without any structure the first of one component comes out a fifth too low.
With so many rows the shares are up to an eighth too low for such an input, and a tenth where they
fall with the square root; the ranks that are made of them hardly move."""
NOTHING = 1e-12
"""A share below it is what rounding leaves of float32 inputs."""


def components_for(matrices: int, tokens: int, asked: int | None = None) -> int:
    """How many ratios the profile of each of ``matrices`` keeps.

    Args:
        matrices: Of the model.
        tokens: That are looked at; so many deviations from their mean have one direction less.
        asked: By somebody; None for ``COMPONENTS``, or as many as there is room for.

    Raises:
        InvalidInput: There are fewer than ``asked``.
    """
    room, seen = most_components(matrices), tokens - 1
    if asked is None:
        return min(COMPONENTS, room, seen)
    if asked < 0 or asked > min(room, seen):
        problem = f"must be 0 to {min(room, seen):,}: there are {tokens:,} tokens to see them in"
        fix = "give a longer text and more samples"
        if room < seen:
            problem = f"must be 0 to {room:,}, for {matrices:,} matrices"
            fix = f"use {room:,} or fewer"
        raise InvalidInput("components", asked, problem, fix=fix)
    return asked


class InputSpectrum:
    """Principal components of the vectors that a matrix is fed, told in batches.

    What is kept does not grow with them: a basis of ``kept`` rows, each as long as the input. It
    is exact until there are more vectors than rows; later each batch drops what lies outside the
    ``kept`` largest components. Their mean and whole variance stay exact.

    Source: Ross et al., Incremental Learning for Robust Visual Tracking (IJCV 2008), as in
    scikit-learn's and peft's IncrementalPCA, which EVA uses (arXiv 2410.07170).
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._tokens = 0
        self._mean: torch.Tensor | None = None
        self._basis: torch.Tensor | None = None  # (rows, d_in), rows.T @ rows is the scatter
        self._variance = 0.0  # times the tokens

    def add(self, inputs: torch.Tensor) -> None:
        """Look at ``inputs``, ``(n, d_in)``, every one of them text."""
        # In parts no longer than the basis: time grows with the square of a part.
        for part in torch.split(inputs.detach(), self._kept):
            self._add(part)

    def _add(self, inputs: torch.Tensor) -> None:
        rows = inputs.float()
        mean, count = rows.mean(dim=0), len(rows)
        rows = rows - mean
        if self._mean is None or self._basis is None:
            self._mean, self._basis = mean, rows[:0]
        total = self._tokens + count
        away = mean - self._mean
        moved = away[None] * (self._tokens * count / total) ** 0.5
        self._variance += float(rows.double().square().sum() + moved.double().square().sum())
        self._basis = _largest(torch.cat((self._basis, rows, moved)), self._kept)
        self._mean = self._mean + away * (count / total)
        self._tokens = total

    def explained(self, components: int) -> tuple[float, ...]:
        """Share of the variance along each of the first ``components``, falling.

        0 beyond the dimensions of the input, and all 0 where it never changes.
        """
        if self._basis is None or not self._variance:
            return (0.0,) * components
        squares, _ = _components(self._basis)
        shares = [_rounded(value / self._variance) for value in squares[:components].tolist()]
        return (*shares, *(0.0,) * (components - len(shares)))


class InputSpectra:
    """The spectra of matrices by name; those that are fed the same tensor share one."""

    def __init__(self, components: int) -> None:
        self._components = components
        self._spectra: dict[str, InputSpectrum] = {}
        self._leaders: dict[str, str] = {}
        self._latest: tuple[torch.Tensor, str] | None = None

    def add(self, name: str, inputs: torch.Tensor) -> None:
        """Look at what ``name`` is fed, ``(..., d_in)``."""
        if not self._components:
            return
        if self._latest is None or self._latest[0] is not inputs:
            kept = max(2 * self._components, LEAST_KEPT)
            spectrum = self._spectra.setdefault(name, InputSpectrum(kept))
            spectrum.add(inputs.flatten(0, -2))
            self._latest = (inputs, name)
        self._leaders[name] = self._latest[1]

    def explained(self) -> Mapping[str, tuple[float, ...]]:
        """The ratios of each matrix that was seen, ``components`` each."""
        self._latest = None
        found = {name: one.explained(self._components) for name, one in self._spectra.items()}
        return {name: found[leader] for name, leader in self._leaders.items()}


def _largest(rows: torch.Tensor, kept: int) -> torch.Tensor:
    """At most ``kept`` rows with the largest part of the scatter of ``rows``, ``(n, d_in)``."""
    if len(rows) <= kept:
        return rows
    squares, directions = _components(rows)
    return (squares[:kept].sqrt()[:, None] * directions[:kept]).to(rows.dtype)


def _components(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared singular values of ``rows``, falling, and the right singular vectors in rows.

    Of the smaller Gram matrix in float64: of large models one direction may hold a million times
    more than the next, which float32 would lose.
    """
    wide = rows.double()
    if len(rows) > rows.shape[1]:
        values, vectors = torch.linalg.eigh(wide.T @ wide)
        return values.flip(0).clamp(min=0.0), vectors.T.flip(0)
    values, vectors = torch.linalg.eigh(wide @ wide.T)
    return values.flip(0).clamp(min=0.0), nn.functional.normalize(vectors.T.flip(0) @ wide)


def _rounded(share: float) -> float:
    """To six figures: so that profiles stay short, and what is only rounding is none."""
    return float(f"{min(share, 1.0):.6g}") if share > NOTHING else 0.0
