"""What pruning left of each block."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table

from rankspace import PrunedModel


def pruning_table(
    dense: PrunedModel, pruned: PrunedModel, left: Sequence[int] | None = None
) -> RenderableType:
    """Show how many heads' rows and channels each block kept, or that it is gone.

    Args:
        dense: The model before.
        pruned: What is left of it.
        left: Indices, in ``dense``, of the blocks of ``pruned``; None for all.
    """
    share = pruned.parameters / dense.parameters
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{pruned.parameters:,} of {dense.parameters:,} parameters are left ({share:.1%})",
        title_justify="left",
    )
    for column in ("block", "attention width", "FFN width"):
        table.add_column(column, justify="right")
    before, after = _widths(dense), _widths(pruned)
    places = {index: place for place, index in enumerate(before if left is None else left)}
    for block, (dense_attention, dense_ffn) in before.items():
        if block in places:
            attention, ffn = after[places[block]]
            heads = f"{attention} of {dense_attention}{_factors(pruned, places[block])}"
            table.add_row(str(block), heads, f"{ffn} of {dense_ffn}")
        else:
            table.add_row(str(block), "gone", "gone")
    return table


def _widths(model: PrunedModel) -> dict[int, tuple[int, int]]:
    inner = {(m.block, m.module): m.d_in for m in model.matrices}
    blocks = sorted({matrix.block for matrix in model.matrices})
    # A block without attention, or without MLP, has one of them.
    return {b: (inner.get((b, "o_proj"), 0), inner.get((b, "down_proj"), 0)) for b in blocks}


def _factors(model: PrunedModel, block: int) -> str:
    """The ranks of what is kept as factors, by the letter of its kind."""
    own = [m for m in model.matrices if m.block == block and m.factor_rank]
    ranks = ", ".join(f"{m.module.removesuffix('_proj')} {m.factor_rank}" for m in own)
    return f" (ranks {ranks})" if ranks else ""


def removed_sentence(
    dense: PrunedModel, pruned: PrunedModel, blocks: Sequence[int], ratio: float, rates: str
) -> str:
    """Say what share of ``blocks`` was asked for, and what whole structures made of it."""
    found = removed_share(dense, pruned, blocks)
    which = ", ".join(map(str, blocks))
    how = "" if rates == "uniform" else f" by {rates}"
    return f"removed {found:.2%} of blocks {which}, where {ratio:.4g} was asked for{how}"


def trained_sentence(account: Mapping[str, Any]) -> str:
    """Say how a training went that a method cut meanwhile; its adapter is in the weights."""
    steps, skipped = account["steps"], account["steps_without_scores"]
    went = f"from a loss of {account['first_loss']:.3f} to {account['final_loss']:.3f}"
    without = f"; {skipped} of the steps had no score that is a number" if skipped else ""
    return f"trained for {steps} steps, {went} as parts were masked; the adapter is merged{without}"


def removed_share(dense: PrunedModel, pruned: PrunedModel, blocks: Collection[int]) -> float:
    """Return the share of the weights of these blocks' matrices that are gone.

    All that is missing is missing from them; whole blocks may be.
    """
    before, after = (sum(m.weights for m in model.matrices) for model in (dense, pruned))
    chosen = sum(m.weights for m in dense.matrices if m.block in blocks)
    return (before - after) / chosen
