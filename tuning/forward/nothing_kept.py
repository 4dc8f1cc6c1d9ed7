"""NothingKept: a cache of keys and values that keeps none, so that no pass waits for the device."""

from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache


class NothingKept(Cache):
    """Hands keys and values back as they come.

    Without a cache and a mask, transformers looks at the positions to see whether several texts lie
    in one row, and so has to wait, at every pass, for all that a GPU was told before. With a cache
    it takes a row to be one text, which is what ``tuning.batches`` makes; masks come out the same.

    Source: ``find_packed_sequence_indices`` in ``masking_utils`` of transformers 5.23.
    """

    def __init__(self) -> None:
        super().__init__(layers=[])

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0

    def get_query_offset(self, layer_idx: int = 0) -> int:
        return 0

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        return query_length, 0

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        return key_states, value_states
