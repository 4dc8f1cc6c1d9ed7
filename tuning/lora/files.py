"""The two files of an adapter, as peft writes and reads them."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from rankspace.lease import WEIGHTS
from tuning.peft_back_end import lora_config


def save_adapter(
    directory: Path, ranks: Mapping[str, int], alpha_per_rank: float, matrices: Mapping[str, Tensor]
) -> None:
    """Write ``adapter_config.json`` and ``adapter_model.safetensors`` into ``directory``.

    Args:
        directory: Made if need be.
        ranks: Full module name to its rank, at least 1; at least one module.
        alpha_per_rank: Scale of every adapter, whatever its rank.
        matrices: By the names of ``stored``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    config = lora_config(ranks, alpha_per_rank)
    config.inference_mode = True  # as peft writes it
    config.save_pretrained(str(directory))
    whole = {key: matrix.detach().cpu().contiguous() for key, matrix in matrices.items()}
    save_file(whole, directory / WEIGHTS, metadata={"format": "pt"})


def stored(pairs: Mapping[str, tuple[Tensor, Tensor]]) -> Mapping[str, Tensor]:
    """Name A ``(r, d_in)`` and B ``(d_out, r)`` of each module as peft does in a file."""
    return {
        f"base_model.model.{name}.lora_{letter}.weight": matrix
        for name, pair in pairs.items()
        for letter, matrix in zip("AB", pair, strict=True)
    }
