"""Dimensions: what decides how much memory it takes to look at a model; needs no torch."""

import math
from dataclasses import dataclass

from pruning.container.structure import BlockStructure, Structure

BATCH_TOKENS = 256
"""Run together, by gradients and statistics alike; of one window at least."""


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Of a model, of the text it is looked at on, and of what is looked at.

    Attributes:
        structure: Decoder blocks.
        hidden: Width of the residual stream.
        vocabulary: Rows of the embedding.
        number_bytes: Of one weight in memory.
        blocks: Those that are looked at.
        samples: Calibration windows.
        length: Tokens of each.
        rank: Of adapters, where a method trains some.
    """

    structure: Structure
    hidden: int
    vocabulary: int
    number_bytes: int
    blocks: tuple[int, ...]
    samples: int
    length: int
    rank: int = 8

    @property
    def largest_matrix(self) -> int:
        """Weights of the largest matrix that is looked at."""
        return max(size for index in self.blocks for size in self._matrices(index))

    @property
    def looked_at(self) -> int:
        """Weights of all matrices that are looked at."""
        return sum(size for index in self.blocks for size in self._matrices(index))

    @property
    def batch_tokens(self) -> int:
        """Tokens that are run together."""
        together = max(1, BATCH_TOKENS // self.length)
        return min(self.samples, together) * self.length

    @property
    def hidden_bytes(self) -> int:
        """Of the windows' hidden states before one block and after it."""
        return 2 * self.samples * self.length * self.hidden * self.number_bytes

    @property
    def block_bytes(self) -> int:
        """What the tensors of the widest block take, for the tokens run together."""
        widest = max(self._width(block) for block in self.structure.blocks)
        return self.batch_tokens * widest * self.number_bytes

    @property
    def all_blocks_bytes(self) -> int:
        """What the tensors of all blocks take, as a backward pass needs them."""
        width = sum(self._width(block) for block in self.structure.blocks)
        return self.batch_tokens * width * self.number_bytes

    @property
    def logits_bytes(self) -> int:
        """Logits of the tokens run together, once as the model writes them and twice in float32."""
        return self.batch_tokens * self.vocabulary * (self.number_bytes + 8)

    def _matrices(self, index: int) -> list[int]:
        block = self.structure.blocks[index]
        return [math.prod(block.shape(kind, self.hidden)) for kind in block.modules]

    def _width(self, block: BlockStructure) -> int:
        """Numbers per token: residual stream and its norms, queries, keys, values, scores, MLP."""
        attention = (4 * block.heads + 4 * block.kv_heads) * block.head_dim
        return 6 * self.hidden + attention + block.heads * self.length + 4 * block.ffn
