"""LayerProfile: what pruning did to one layer."""

from dataclasses import dataclass, field

from rankspace.wire import LATER

COMPONENTS = 64
"""Principal components of which a profile tells the share, unless asked otherwise: most studies
allow no higher rank."""
MOST_SHARES = 40_000
"""Of a model's profiles in all. A model is registered in one request: of 20,000 matrices, the
most there may be, what it says besides takes 7.4 of the 8 MiB that the service reads."""


def most_components(matrices: int) -> int:
    """How many components there is room for in the profile of each of ``matrices``."""
    return max(0, MOST_SHARES // matrices - 1)  # the name of the field takes room as well


@dataclass(frozen=True, slots=True)
class LayerProfile:
    """Statistics of one weight matrix on calibration text; features of the meta-learned prior.

    Attributes:
        name: Full module name.
        depth: Block index divided by the number of blocks minus one, in [0, 1].
        kept: Share of the dense matrix's parameters that is left, in (0, 1]; 1 if unknown.
        input_norm: Root mean square of the matrix's input, over tokens and channels.
        output_norm: Root mean square of its output.
        gradient_norm: Frobenius norm of the loss gradient, divided by the weight's.
        effective_rank: Exponential of the entropy of the normalised singular values, divided by
            their number, in (0, 1] (Roy & Vetterli 2007).
        reconstruction_error: ``||Y_dense - Y_pruned||^2 / ||Y_dense||^2`` of the block's output,
            as in LoSA (arXiv 2502.14816), each model fed its own hidden states; None without
            the dense model.
        explained: Share of its input's variance over tokens along each of the first principal
            components, falling, 0 beyond the input's dimensions; empty if unknown. Matrices that
            are fed the same have the same.
    """

    name: str
    depth: float
    kept: float
    input_norm: float
    output_norm: float
    gradient_norm: float
    effective_rank: float
    reconstruction_error: float | None = None
    explained: tuple[float, ...] = field(default=(), metadata=LATER)
