"""How many operators a pass of a trial is made of, which on a GPU are about its launches.

    python -m bench.trials.operators

Forward and backward pass of one micro-batch of ``bench.trials --quick``, with each back end and
type; those that only look at a tensor in another way are left out. They are counted, not timed, so
any machine gives the same figures. The last line is for a machine: operators with the default back
end as a share of those with peft.
"""

import argparse
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.utils._python_dispatch import TorchDispatchMode

from bench.trials.task import ALPHA_PER_RANK, QUICK, SEED
from tuning.back_ends import ADAPTER_BACK_ENDS, DEFAULT_BACK_END
from tuning.batches import Batch, collate
from tuning.losses import summed_loss
from tuning.training import autocast

CPU = torch.device("cpu")
REFERENCE = "peft"


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def operators(back_end: str, dtype: torch.dtype) -> int:
    """Return those of a pass of one micro-batch with adapters of ``back_end``."""
    model = QUICK.model(dtype)
    ADAPTER_BACK_ENDS[back_end].attach(
        model, QUICK.ranks(), alpha_per_rank=ALPHA_PER_RANK, seed=SEED
    )
    return operators_of_pass(model, collate(QUICK.examples()[: QUICK.micro], CPU))


def operators_of_pass(model: Any, batch: Batch) -> int:
    """Return those of the second pass, when there are gradients to add to."""
    for _ in range(2):
        counter = _Counter()
        with counter:
            with autocast(CPU, model.dtype):
                loss = summed_loss(model, batch)
            loss.backward()  # type: ignore[no-untyped-call]
    return counter.count


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None).parse_args()
    table = Table(title="Operators of a pass, forward and backward")
    table.add_column("type")
    for back_end in ADAPTER_BACK_ENDS:
        table.add_column(back_end, justify="right")
    shares = []
    for dtype in (torch.float32, torch.bfloat16):
        found = {back_end: operators(back_end, dtype) for back_end in ADAPTER_BACK_ENDS}
        kind = str(dtype).removeprefix("torch.")
        table.add_row(kind, *map(str, found.values()))
        shares.append(f"{kind}={found[DEFAULT_BACK_END] / found[REFERENCE]:.2f}")
    Console(width=120).print(table)
    print(*shares)


if __name__ == "__main__":
    main()
