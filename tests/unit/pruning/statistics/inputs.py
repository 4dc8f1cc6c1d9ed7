"""What matrices are fed in ordinary forward passes, kept whole."""

from typing import Any

import torch
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, kinds_of, matrix_of


def seen(model: PreTrainedModel, windows: torch.Tensor) -> dict[tuple[int, str], torch.Tensor]:
    """What each matrix is fed in ordinary forward passes, ``(tokens, d_in)``."""
    inputs: dict[tuple[int, str], list[torch.Tensor]] = {}
    handles = []
    for index, block in enumerate(blocks_of(model)):
        for kind in kinds_of(block):
            rows = inputs.setdefault((index, kind), [])

            def keep(_module: Any, arguments: Any, rows: list[torch.Tensor] = rows) -> None:
                rows.append(arguments[0].flatten(0, -2).double())

            handles.append(matrix_of(block, kind).register_forward_pre_hook(keep))
    with torch.no_grad():
        for window in windows:
            model(input_ids=window[None], use_cache=False)
    for handle in handles:
        handle.remove()
    return {key: torch.cat(rows) for key, rows in inputs.items()}
