"""What reconstruction by least squares brings, before a uniform LoRA and after it.

    python -m bench.methods.reconstruction MODEL_DIRECTORY TEXT [--blocks 1-3] [--seeds 3] [--quick]

``taylor`` at 20 % and 50 % of the blocks. A seed draws 32 windows to prune on, others to
reconstruct on (128 of 128 tokens, a quarter held out) and those that a LoRA of rank 4 on every
matrix trains on (60 steps of 16 windows of 64), all of the first half of TEXT. Scored are windows
of the second, of which nothing is seen before. An interval is of 95 % (Student's t over seeds), of
these draws alone: it knows nothing of other models or texts. The last line repeats the differences
for a machine. Set OMP_NUM_THREADS=1 for small models. ``--quick`` takes few windows: seconds.
"""

import argparse
import copy
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from transformers import PreTrainedModel

from bench.methods.measuring import RATIOS, percent
from bench.methods.searches import written
from bench.proposers.intervals import mean_of
from bench.pruners import halves, loss
from pruning.container.assembly import blocks_of, kinds_of
from pruning.container.container import LoadedModel, load
from pruning.container.structure import matrix_name
from pruning.methods.change import apply
from pruning.methods.methods import METHODS
from pruning.methods.plan import Plan
from pruning.methods.settings import PrunerName
from pruning.profiling.calibration_text import CalibrationText, draw_windows
from pruning.recovery.blockwise import reconstruct_blocks
from pruning.recovery.dense_targets import dense_targets
from rankadaptor.blocks import parse_blocks
from rankspace.errors import RankspaceError
from rankspace.recipe import Optimizer
from tuning.back_ends import ADAPTER_BACK_ENDS, DEFAULT_BACK_END
from tuning.batches import Passes, schedule
from tuning.examples import windows as as_examples
from tuning.training import train

RANK, RATE, BATCH = 4, 3e-3, 16
ARMS = ("pruned", "reconstructed", "pruned + LoRA", "reconstructed + LoRA")


@dataclass(frozen=True)
class Draws:
    """Windows of one seed.

    Attributes:
        pruned: To prune on, ``(samples, length)``.
        fitted: To reconstruct on.
        trained: To train on.
        scored: Of the other half.
    """

    pruned: torch.Tensor
    fitted: torch.Tensor
    trained: torch.Tensor
    scored: torch.Tensor


def draws_of(
    loaded: LoadedModel, first: CalibrationText, second: CalibrationText, seed: int, *, quick: bool
) -> Draws:
    sizes = ((8, 64), (16, 64), (BATCH * 4, 64)) if quick else ((32, 64), (128, 128), (960, 64))
    chosen = [replace(first, samples=n, length=length, seed=seed) for n, length in sizes]
    windows = [draw_windows(text, loaded.tokenizer) for text in (*chosen, second)]
    return Draws(*windows)


def lora(model: PreTrainedModel, windows: torch.Tensor, scored: torch.Tensor, seed: int) -> float:
    """Train the same rank everywhere; return the loss on ``scored``."""
    names = [
        matrix_name(i, kind) for i, block in enumerate(blocks_of(model)) for kind in kinds_of(block)
    ]
    back_end, steps = ADAPTER_BACK_ENDS[DEFAULT_BACK_END], len(windows) // BATCH
    attached = back_end.attach(model, dict.fromkeys(names, RANK), alpha_per_rank=2.0, seed=seed)
    try:
        train(
            model,
            attached.parameters,
            schedule(as_examples(windows.flatten().tolist(), windows.shape[1]), BATCH, steps, seed),
            Optimizer(learning_rate=RATE, warmup_steps=4),
            steps=steps,
            passes=Passes(BATCH),
        )
        return loss(model, scored)
    finally:
        attached.detach()


def losses(loaded: LoadedModel, plan: Plan, draws: Draws) -> tuple[float, ...]:
    """Of ``ARMS``, in nats."""
    change = METHODS[PrunerName.TAYLOR](loaded.model, plan, draws.pruned)
    pruned = copy.deepcopy(loaded.model)
    apply(pruned, change)
    mended = copy.deepcopy(pruned)
    with dense_targets(lambda: loaded, draws.fitted, lambda: None) as targets:
        reconstruct_blocks(mended, draws.fitted, targets, lambda: None)
    plain = [loss(model, draws.scored) for model in (pruned, mended)]
    trained = [lora(model, draws.trained, draws.scored, plan.seed) for model in (pruned, mended)]
    return (*plain, *trained)


Found = Mapping[float, Sequence[tuple[float, ...]]]


def measure(options: argparse.Namespace) -> tuple[float, Found]:
    """Return the dense model's loss, and those of ``ARMS`` by ratio and seed."""
    loaded, found = load(options.model), dict[float, list[tuple[float, ...]]]()
    blocks = parse_blocks(options.blocks, len(loaded.structure.blocks))
    with tempfile.TemporaryDirectory() as folder:
        first, second = halves(options.text, Path(folder))
        second = replace(second, samples=40) if options.quick else second
        for seed in range(options.seeds):
            draws = draws_of(loaded, first, second, seed, quick=options.quick)
            for ratio in RATIOS:
                plan = Plan(dict.fromkeys(blocks, ratio), seed=seed)
                found.setdefault(ratio, []).append(losses(loaded, plan, draws))
    return loss(loaded.model, draws.scored), found


def show(dense: float, found: Found) -> Mapping[str, float]:
    """Print the tables; return the differences by what and where."""
    table = Table("ratio", *ARMS, title=f"Perplexity, unseen text; dense {math.exp(dense):.2f}")
    pairs = Table("ratio", "reconstructed - pruned, nats", "the same after LoRA")
    figures = {}
    for ratio, rows in found.items():
        means = [mean_of(column).value for column in zip(*rows, strict=True)]
        table.add_row(f"{percent(ratio)} %", *(f"{math.exp(mean):.2f}" for mean in means))
        gains = [mean_of([row[i + 1] - row[i] for row in rows]) for i in (0, 2)]
        pairs.add_row(f"{percent(ratio)} %", *map(written, gains))
        for when, gain in zip(("before", "after"), gains, strict=True):
            figures[f"{when}@{percent(ratio)}"] = gain.value
    for one in (table, pairs):
        Console(width=120).print(one)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("model", type=Path, help="a Hugging Face directory or a container")
    parser.add_argument("text", type=Path, help="UTF-8; half to look at, half to score")
    parser.add_argument("--blocks", default="1-3", help="that are pruned [1-3]")
    parser.add_argument("--seeds", type=int, default=3, help="[3]")
    parser.add_argument("--quick", action="store_true", help="few windows, four steps")
    options = parser.parse_args()
    began = time.process_time()
    try:
        figures = show(*measure(options))
    except RankspaceError as error:
        parser.error(f"{error.detail}; {error.hint}")
    said = (f"{name}={value:.3f}" for name, value in figures.items())
    print(f"seconds={time.process_time() - began:.0f}", *said)


if __name__ == "__main__":
    main()
