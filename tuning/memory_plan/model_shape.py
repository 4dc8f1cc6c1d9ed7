"""ModelShape: what of a model decides how much memory its training takes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BlockShape:
    """One decoder block; pruned ones differ from each other.

    Attributes:
        heads: Query heads; 0 without attention.
        kv_heads: Key/value heads.
        head_dim: Width of one head.
        ffn: Width of the feed-forward layer; 0 without one.
        widest_factor: Largest inner width of a matrix that is kept as two thin ones; 0 without one.
    """

    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    widest_factor: int = 0

    @property
    def queries(self) -> int:
        """Width of all query heads together."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all key heads together; that of the values, too."""
        return self.kv_heads * self.head_dim

    def share_of(self, norms: int) -> int:
        """How many of a whole block's ``norms`` it has: half of them go with attention or MLP."""
        return norms if self.heads and self.ffn else norms // 2

    def inputs(self, hidden: int) -> dict[str, int]:
        """Return how wide what each kind of matrix reads is."""
        attention = dict.fromkeys(("q_proj", "k_proj", "v_proj"), hidden)
        mlp = dict.fromkeys(("gate_proj", "up_proj"), hidden)
        return {**attention, "o_proj": self.queries, **mlp, "down_proj": self.ffn}

    def outputs(self, hidden: int) -> dict[str, int]:
        """Return how wide what each kind of matrix writes is."""
        keys = dict.fromkeys(("k_proj", "v_proj"), self.keys)
        mlp = dict.fromkeys(("gate_proj", "up_proj"), self.ffn)
        return {"q_proj": self.queries, **keys, "o_proj": hidden, **mlp, "down_proj": hidden}


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A causal language model without its weights.

    Attributes:
        hidden: Width of the residual stream.
        vocabulary: Tokens that there are logits of.
        parameters: Weights in all; those of a tied head count once.
        blocks: First to last.
        norms: Norms of the residual stream in a whole block.
        has_head_norms: Whether queries and keys are normalised, too.
        has_scores: Whether attention keeps its scores, as it does where they are capped (Gemma 2):
            no fused kernel caps them.
        caps_logits: Whether logits are capped, too (Gemma 2), which keeps a copy of them.
    """

    hidden: int
    vocabulary: int
    parameters: int
    blocks: tuple[BlockShape, ...]
    norms: int = 2
    has_head_norms: bool = False
    has_scores: bool = False
    caps_logits: bool = False
