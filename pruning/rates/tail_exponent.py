"""How heavy the tail of a block's spectra is, as AlphaPruning measures it."""

import torch
from torch import nn

from pruning.container.assembly import kinds_of, matrix_of
from pruning.profiling.spectrum import squared_singular_values
from rankspace.errors import InvalidInput

NOTHING = 1e-12
"""Of the largest eigenvalue: what is smaller is rounding, and has no logarithm worth summing."""


def hill_exponent(eigenvalues: torch.Tensor) -> float:
    """Estimate the exponent of the power law that the upper half of a spectrum falls with.

    ``1 + k / sum_i ln(l_i / l_(k+1))`` over the ``k = n / 2`` largest of ``n`` eigenvalues ``l``,
    falling: Hill's estimator, as AlphaPruning (arXiv 2410.10912, section 3) fits it.

    Raises:
        InvalidInput: They are all equal: there is no tail.
    """
    values = eigenvalues.double().sort(descending=True).values
    values = values[values > NOTHING * values[0]]
    k = len(values) // 2
    drop = float((values[:k] / values[k]).log().sum()) if k else 0.0
    if drop <= 0.0:
        raise InvalidInput(
            "rates",
            "alpha-pruning",
            f"the spectrum of a matrix has no tail to fit: its {len(values)} eigenvalues are equal",
            fix="use another rule; these weights were never trained",
        )
    return 1.0 + k / drop


def block_exponent(block: nn.Module) -> float:
    """Return the mean exponent of ``W^T W`` over the matrices of a decoder block."""
    spectra = (squared_singular_values(matrix_of(block, kind).weight) for kind in kinds_of(block))
    exponents = [hill_exponent(values) for values in spectra]
    return sum(exponents) / len(exponents)
