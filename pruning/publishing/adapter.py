"""The matrices of an adapter in peft's files, by the name of the matrix they belong to."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pruning.container.document import read_document
from pruning.container.structure import ATTENTION, MLP
from rankspace.errors import InvalidInput
from rankspace.lease import CONFIG, NOTE, WEIGHTS

_TENSOR = re.compile(
    r"base_model\.model\.(?P<matrix>model\.layers\.[0-9]{1,6}\."
    rf"(?:self_attn\.(?:{'|'.join(ATTENTION)})|mlp\.(?:{'|'.join(MLP)})))"
    r"\.lora_(?P<side>[AB])\.weight"
)

_TYPES = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})

_FREE = frozenset(
    {
        "alpha_pattern",
        "auto_mapping",
        "base_model_name_or_path",
        "ensure_weight_tying",
        "exclude_modules",
        "inference_mode",
        "init_lora_weights",
        "layers_pattern",
        "layers_to_transform",
        "lora_alpha",
        "lora_dropout",
        "peft_type",
        "peft_version",
        "r",
        "rank_pattern",
        "revision",
        "target_modules",
        "task_type",
    }
)
"""Fields that are read, or change nothing in what a trained adapter adds to a matrix."""

_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {"bias": "none", "megatron_core": "megatron.core", "qalora_group_size": 16}
)
"""What peft writes of fields that nobody set; of all others, something empty."""

_CHANGING = ("pissa", "corda", "olora", "loftq", "eva", "lora_ga")
"""Initialisations that change the base weights, too: the adapter fits others than the model's."""

_MOST_ALPHA = 1e9

_FIX = "export the adapter of the study again, or merge it with the program that made it"


_FLAT_NOTE = """
Flattened since: one alpha, {alpha:g}, serves every matrix, and what a rank lacks lies in its B.
What is said of alpha above is of before.
"""


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

    def change(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Return the change of the weight, ``(d_out, d_in)``, computed in ``dtype``."""
        return self.scale * (self.second.to(dtype) @ self.first.to(dtype))


Adapter = Mapping[str, LowRank]


def read_adapter(directory: Path) -> Adapter:
    """Read both files of an adapter; one without files has no matrices.

    Raises:
        InvalidInput: They are damaged, do not fit each other, or are no plain LoRA.
    """
    if not (directory / CONFIG).exists() and not (directory / WEIGHTS).exists():
        return {}
    config = _config(directory / CONFIG)
    _check_plain(config)
    sides = _sides(_tensors(directory / WEIGHTS))
    for field in ("rank_pattern", "alpha_pattern"):
        _check_patterns(config, field, sides)
    return {name: _low_rank(name, sides[name], config) for name in sorted(sides)}


def write_flat(adapter: Adapter, directory: Path) -> None:
    """Write ``adapter`` over the files in ``directory`` so that one alpha serves every rank.

    llama.cpp knows one alpha and divides it by the rank of each tensor, which gives other scales
    than were trained unless all ranks are equal. What a matrix lacks then goes into its B, and
    ``alpha_pattern`` out of the config: every program that divides by the rank reads it right.
    The note beside them, which may tell the alphas of before, gets a sentence that says so.

    Raises:
        InvalidInput: Its alpha is 0 or no number, or a B would not be finite.
    """
    if not adapter:
        return
    config = _config(directory / CONFIG)
    alpha = _number("lora_alpha", config.get("lora_alpha"))
    if alpha == 0:
        raise _invalid("lora_alpha", alpha, "leaves no scale to fold into the weights")
    tensors: dict[str, torch.Tensor] = {}
    for name, low in adapter.items():
        tensors |= {_stored(name, "A"): low.first, _stored(name, "B"): _folded(name, low, alpha)}
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})
    text = json.dumps({**config, "alpha_pattern": {}}, indent=2, sort_keys=True)
    (directory / CONFIG).write_text(text + "\n", encoding="utf-8")
    if (directory / NOTE).is_file():
        with (directory / NOTE).open("a", encoding="utf-8") as note:
            note.write(_FLAT_NOTE.format(alpha=alpha))


def _folded(name: str, low: LowRank, alpha: float) -> torch.Tensor:
    folded = low.second * (low.scale * low.rank / alpha)
    if not bool(torch.isfinite(folded).all()):
        problem = "its B would hold infinity"
        raise InvalidInput(f"{WEIGHTS}: {name}", alpha, problem, fix="leave --flat-scale out")
    return folded


def _config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InvalidInput(CONFIG, str(path), "is no file", fix=_FIX)
    return read_document(path)


def _stored(name: str, side: str) -> str:
    return f"base_model.model.{name}.lora_{side}.weight"


def _check_plain(config: Mapping[str, Any]) -> None:
    if config.get("peft_type") != "LORA":
        raise _invalid("peft_type", config.get("peft_type"), "is not LORA")
    for field, value in config.items():
        if field not in _FREE and value and value != _DEFAULTS.get(field):
            raise _invalid(field, value, "may make it another thing than scale B A")
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(_CHANGING):
        raise _invalid("init_lora_weights", start, "changed the base weights, too")


def _check_patterns(config: Mapping[str, Any], field: str, names: Iterable[str]) -> None:
    """Check that no pattern is more than a name: peft would run any, however long it takes."""
    patterns = config.get(field) or {}
    if not isinstance(patterns, dict):
        raise _invalid(field, patterns, "is no table of matrices")
    for pattern in patterns.keys() - {re.escape(name) for name in names}:
        raise _invalid(field, pattern, "is no full name, escaped, of a matrix of the adapter")


def _tensors(path: Path) -> Mapping[str, torch.Tensor]:
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InvalidInput(WEIGHTS, str(error), "cannot be read", fix=_FIX) from None
    for name, tensor in tensors.items():
        if tensor.dtype not in _TYPES:
            raise InvalidInput(
                f"{WEIGHTS}: {name}", str(tensor.dtype), "is no type of it", fix=_FIX
            )
        if not bool(torch.isfinite(tensor).all()):
            raise InvalidInput(WEIGHTS, name, "holds NaN or infinity", fix=_FIX)
    return tensors


def _sides(tensors: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    sides: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        match = _TENSOR.fullmatch(name)
        if match is None or tensor.ndim != 2:
            problem = "is no LoRA matrix of a matrix of a block"
            raise InvalidInput(WEIGHTS, name, problem, fix=_FIX)
        sides.setdefault(match["matrix"], {})[match["side"]] = tensor
    return sides


def _low_rank(name: str, sides: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> LowRank:
    first, second = sides.get("A"), sides.get("B")
    if first is None or second is None or first.shape[0] != second.shape[1]:
        shapes = {side: list(tensor.shape) for side, tensor in sides.items()}
        raise InvalidInput(f"{WEIGHTS}: {name}", shapes, "are no A (r, d) and B (d, r)", fix=_FIX)
    stated = _of_matrix(config, "rank_pattern", name, config.get("r"))
    if isinstance(stated, bool) or stated != first.shape[0] or stated < 1:
        problem = f"is not the {first.shape[0]} rows of its A, 1 or more"
        raise _invalid(f"rank of {name}", stated, problem)
    alpha = _of_matrix(config, "alpha_pattern", name, config.get("lora_alpha"))
    return LowRank(first, second, _number(f"alpha of {name}", alpha) / first.shape[0])


def _of_matrix(config: Mapping[str, Any], field: str, name: str, default: Any) -> Any:
    return (config.get(field) or {}).get(re.escape(name), default)


def _number(field: str, value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not abs(value) < _MOST_ALPHA:
        raise _invalid(field, value, f"is no number below {_MOST_ALPHA:g}")
    return float(value)


def _invalid(field: str, value: Any, problem: str) -> InvalidInput:
    return InvalidInput(f"{CONFIG}: {field}", value, problem, fix=_FIX)
