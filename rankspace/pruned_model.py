"""PrunedModel: the description of a model's files, which is all the service ever sees of it."""

from dataclasses import dataclass, field

from rankspace.layer_profile import LayerProfile
from rankspace.wire import LATER


@dataclass(frozen=True, slots=True)
class Matrix:
    """One linear weight of a decoder block.

    Attributes:
        name: Full module name, ``model.layers.0.self_attn.q_proj``.
        block: Index of the decoder block.
        module: Kind of matrix, the last part of the name (``q_proj``).
        d_in: Input width (columns of the weight).
        d_out: Output width (rows of the weight).
        factor_rank: Inner width where the weight is kept as two thin matrices; 0 where it is whole.
    """

    name: str
    block: int
    module: str
    d_in: int
    d_out: int
    factor_rank: int = field(default=0, metadata=LATER)

    @property
    def parameters_per_rank(self) -> int:
        """Of an adapter, which stands beside the product where the weight is kept as factors."""
        return self.d_in + self.d_out

    @property
    def weights(self) -> int:
        """How many numbers the weight is kept as, without its bias."""
        if self.factor_rank:
            return self.factor_rank * (self.d_in + self.d_out)
        return self.d_in * self.d_out


@dataclass(frozen=True, slots=True)
class PrunedModel:
    """A model directory as it was when described.

    Attributes:
        path: Absolute directory; workers open the same path.
        fingerprint: SHA-256 over the names and SHA-256 of its weight and structure files.
        architecture: Transformers class name, ``LlamaForCausalLM``.
        parameters: Weights in all.
        matrices: Every linear weight inside the decoder blocks, in the order of the model.
        profiles: What ``rankadaptor profile`` measured, or empty.
    """

    path: str
    fingerprint: str
    architecture: str
    parameters: int
    matrices: tuple[Matrix, ...]
    profiles: tuple[LayerProfile, ...] = ()
