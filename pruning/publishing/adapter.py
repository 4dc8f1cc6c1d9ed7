"""The matrices of an adapter in peft's files, by the name of the matrix they belong to."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft.utils.other import get_pattern_key
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pruning.container.document import read_document
from rankspace.errors import InvalidInput
from rankspace.lease import CONFIG, WEIGHTS

_TENSOR = re.compile(r"base_model\.model\.(?P<matrix>.+)\.lora_(?P<side>[AB])\.weight")

_REFUSED = ("use_dora", "use_rslora", "modules_to_save", "layer_replication", "fan_in_fan_out")
"""Fields whose adapters add something else to a matrix than scale B A."""

_FIX = "export the adapter of the study again, or merge it with the program that made it"


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """What is added to one matrix: ``scale second @ first`` (Hu et al. 2021, section 4.1).

    Attributes:
        first: A, ``(rank, d_in)``.
        second: B, ``(d_out, rank)``.
        scale: alpha / rank.
    """

    first: torch.Tensor
    second: torch.Tensor
    scale: float

    @property
    def rank(self) -> int:
        return int(self.first.shape[0])

    def change(self) -> torch.Tensor:
        """Return the change of the weight in float32, ``(d_out, d_in)``."""
        return self.scale * (self.second.float() @ self.first.float())


Adapter = Mapping[str, LowRank]


def read_adapter(directory: Path) -> Adapter:
    """Read both files of an adapter; one without files has no matrices.

    Raises:
        InvalidInput: They are damaged, do not fit each other, or are no plain LoRA.
    """
    if not (directory / CONFIG).exists() and not (directory / WEIGHTS).exists():
        return {}
    config = read_document(directory / CONFIG)
    _check_plain(config)
    sides = _sides(_tensors(directory / WEIGHTS))
    return {name: _low_rank(name, sides[name], config) for name in sorted(sides)}


def write_flat(adapter: Adapter, directory: Path) -> None:
    """Write ``adapter`` over the files in ``directory`` so that one alpha serves every rank.

    llama.cpp knows one alpha and divides it by the rank of each tensor, which gives other scales
    than were trained unless all ranks are equal. What a matrix lacks then goes into its B, and
    ``alpha_pattern`` out of the config: every program that divides by the rank reads it right.
    """
    if not adapter:
        return
    config = dict(read_document(directory / CONFIG))
    alpha = float(config["lora_alpha"])
    tensors: dict[str, torch.Tensor] = {}
    for name, low in adapter.items():
        folded = low.second * (low.scale * low.rank / alpha)
        tensors |= {_stored(name, "A"): low.first, _stored(name, "B"): folded}
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})
    text = json.dumps({**config, "alpha_pattern": {}}, indent=2, sort_keys=True)
    (directory / CONFIG).write_text(text + "\n", encoding="utf-8")


def _stored(name: str, side: str) -> str:
    return f"base_model.model.{name}.lora_{side}.weight"


def _check_plain(config: Mapping[str, Any]) -> None:
    if config.get("peft_type") != "LORA":
        raise _invalid("peft_type", config.get("peft_type"), "is not LORA")
    for field in _REFUSED:
        if config.get(field):
            raise _invalid(field, config[field], "makes it another thing than LoRA")
    if config.get("bias", "none") != "none":
        raise _invalid("bias", config["bias"], "also changes biases")


def _tensors(path: Path) -> Mapping[str, torch.Tensor]:
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InvalidInput(WEIGHTS, str(error), "cannot be read", fix=_FIX) from None
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise InvalidInput(WEIGHTS, name, "holds NaN or infinity", fix=_FIX)
    return tensors


def _sides(tensors: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    sides: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        match = _TENSOR.fullmatch(name)
        if match is None or tensor.ndim != 2:
            raise InvalidInput(WEIGHTS, name, "is no matrix of a LoRA adapter", fix=_FIX)
        sides.setdefault(match["matrix"], {})[match["side"]] = tensor
    return sides


def _low_rank(name: str, sides: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> LowRank:
    first, second = sides.get("A"), sides.get("B")
    if first is None or second is None or first.shape[0] != second.shape[1]:
        shapes = {side: list(tensor.shape) for side, tensor in sides.items()}
        raise InvalidInput(f"{WEIGHTS}: {name}", shapes, "are no A (r, d) and B (d, r)", fix=_FIX)
    stated = _of_matrix(config, "rank_pattern", name, config.get("r"))
    if stated != first.shape[0]:
        problem = f"is not the {first.shape[0]} rows of its A"
        raise _invalid(f"rank of {name}", stated, problem)
    alpha = _of_matrix(config, "alpha_pattern", name, config.get("lora_alpha"))
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise _invalid(f"alpha of {name}", alpha, "is no number")
    return LowRank(first, second, alpha / first.shape[0])


def _of_matrix(config: Mapping[str, Any], field: str, name: str, default: Any) -> Any:
    patterns = config.get(field) or {}
    if not isinstance(patterns, dict):
        raise _invalid(field, patterns, "is no table of matrices")
    return patterns.get(get_pattern_key(list(patterns), name), default)


def _invalid(field: str, value: Any, problem: str) -> InvalidInput:
    return InvalidInput(f"{CONFIG}: {field}", value, problem, fix=_FIX)
