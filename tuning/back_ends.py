"""Adapter back ends: how ranks become trainable matrices on the resident model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from torch.nn import Parameter

from rankspace.granularity import module_ranks
from rankspace.lease import Assignment
from tuning.lora.adapter import LoraAdapter
from tuning.peft_back_end import PeftBackEnd


class Attached(Protocol):
    """Adapters that sit on a model until they are detached."""

    @property
    def parameters(self) -> Sequence[Parameter]:
        """What to train: float32, on the model's device."""
        ...

    @property
    def matrices(self) -> Mapping[str, tuple[Parameter, Parameter]]:
        """Full module name to A ``(r, d_in)`` and B ``(d_out, r)``: ``parameters``, by pairs."""
        ...

    def save(self, directory: Path) -> None:
        """Write ``adapter_config.json`` and ``adapter_model.safetensors`` as peft reads them."""
        ...

    def detach(self) -> None:
        """Give the model back as it was, bit by bit."""
        ...


class AdapterBackEnd(Protocol):
    """One way of putting adapters on a model: the reference by peft, or our own."""

    def attach(
        self, model: Any, ranks: Mapping[str, int], *, alpha_per_rank: float, seed: int
    ) -> Attached:
        """Put one adapter on each module of ``ranks``; the model starts out unchanged.

        Args:
            model: A causal language model whose weights require no gradients.
            ranks: Full module name to its rank, at least 1.
            alpha_per_rank: Scale of every adapter, ``alpha / rank``.
            seed: Of the starting values, see ``tuning.initialisation``.

        Raises:
            TrialFailed: The adapters are not those asked for; the model is as it was.
        """
        ...


class FusedBackEnd:
    """Our own: base and adapter as one operation, of plain linear layers."""

    def attach(
        self, model: Any, ranks: Mapping[str, int], *, alpha_per_rank: float, seed: int
    ) -> LoraAdapter:
        return LoraAdapter(model, ranks, alpha_per_rank=alpha_per_rank, seed=seed)


def assigned_ranks(assignment: Assignment, modules: Sequence[str]) -> dict[str, int]:
    """Give each adapted module its rank; rank 0 means that a module is left out.

    Args:
        assignment: Names the layers, their ranks and the kinds of matrices that may be adapted.
        modules: Full names of the model's linear matrices.

    Raises:
        InvalidInput: A layer that owns no module of the model.
    """
    kinds = set(assignment.recipe.modules)
    eligible = [name for name in modules if name.rpartition(".")[2] in kinds]
    ranks = module_ranks(assignment.layers, assignment.rank_vector, eligible)
    return {name: rank for name, rank in ranks.items() if rank > 0}


ADAPTER_BACK_ENDS: Mapping[str, AdapterBackEnd] = MappingProxyType(
    {"peft": PeftBackEnd(), "fused": FusedBackEnd()}
)
DEFAULT_BACK_END = "fused"
"""It equals peft and is faster (``python -m bench.trials``); peft is there to compare with."""
