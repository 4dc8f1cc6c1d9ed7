"""What hand-made allocations of the ranks are worth on a real model, at equal seeds.

    python -m bench.allocations MODEL TEXT [--budget uniform:1] [--steps 40] [--rate 0.01]
                                [--seeds 3] [--json FILE]

Each row fine-tunes MODEL on TEXT by the worker's own code; losses are on the final held-out half.
The rows: no adapter, uniform ranks, one kind of matrix at a time, pruned or whole blocks only, and
both axes together. A row takes the largest allowed rank for its matrices that the budget affords.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from bench.trial_runner import TrialRunner, text_recipe
from pruning.container.description import describe
from rankspace import Layer, PrunedModel, RankVector, SearchSpace
from rankspace.granularity import search_space
from rankspace.recipe import LINEAR_MODULES
from rankspace.study import Budget, Search
from rankspace.trial import Split

RANKS = (0, 1, 2, 4, 8, 16)
ATTENTION_SCORES = ("q_proj", "k_proj")


@dataclass(frozen=True)
class Row:
    """One allocation and the losses it reached, one per seed."""

    label: str
    parameters: int
    losses: tuple[float, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--budget", default="uniform:1")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = describe(options.model)
    recipe = text_recipe(options.text, options.rate)
    search = Search(ranks=RANKS, budget=Budget(options.budget))
    space = search_space(model, LINEAR_MODULES, search)
    runner = TrialRunner(model, recipe, space, steps=options.steps, split=Split.FINAL)
    rows = [
        Row(
            label,
            space.parameters(vector),
            tuple(runner.loss(vector, seed) for seed in range(options.seeds)),
        )
        for label, vector in allocations(model, space)
    ]
    _print(rows)
    if options.json:
        options.json.write_text(json.dumps([row.__dict__ for row in rows], indent=2))


def allocations(model: PrunedModel, space: SearchSpace) -> Iterator[tuple[str, RankVector]]:
    damaged = _damaged_blocks(model)
    yield "no adapter", space.constant(0)
    yield "uniform", space.uniform()
    for kind in LINEAR_MODULES:
        yield f"{kind} only", _fill(space, partial(_is_kind, kind))
    yield "without q and k", _fill(space, lambda layer: layer.module not in ATTENTION_SCORES)
    if damaged:
        yield "pruned blocks", _fill(space, lambda layer: layer.block in damaged)
        yield "whole blocks", _fill(space, lambda layer: layer.block not in damaged)
        yield (
            "pruned blocks without q and k",
            _fill(
                space, lambda layer: layer.block in damaged and layer.module not in ATTENTION_SCORES
            ),
        )


def _is_kind(kind: str, layer: Layer) -> bool:
    return layer.module == kind


def _damaged_blocks(model: PrunedModel) -> set[int | None]:
    widths = {m.block: m.d_in for m in model.matrices if m.module == "down_proj"}
    whole = max(widths.values())
    return {block for block, width in widths.items() if width < whole}


def _fill(space: SearchSpace, chosen: Callable[[Layer], bool]) -> RankVector:
    """The largest rank on the chosen layers that the budget affords, 0 elsewhere."""
    vectors = [
        RankVector(tuple(rank if chosen(layer) else 0 for layer in space.layers))
        for rank in space.ranks
    ]
    return max(filter(space.affords, vectors), key=space.parameters)


def _print(rows: list[Row]) -> None:
    uniform = next(row for row in rows if row.label == "uniform")
    table = Table("allocation", "parameters", "mean loss", "sd over seeds", "gain over uniform")
    for row in rows:
        gains = [u - r for u, r in zip(uniform.losses, row.losses, strict=True)]
        table.add_row(
            row.label,
            f"{row.parameters:,}",
            f"{statistics.mean(row.losses):.4f}",
            f"{statistics.stdev(row.losses):.4f}",
            f"{statistics.mean(gains):+.4f}",
        )
    Console().print(table)
    best = min(rows, key=lambda row: statistics.mean(row.losses))
    gain = statistics.mean(uniform.losses) - statistics.mean(best.losses)
    print(f"uniform={statistics.mean(uniform.losses):.4f} best={best.label!r} gain={gain:.4f}")


if __name__ == "__main__":
    main()
