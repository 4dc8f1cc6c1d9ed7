"""What each score of heads and channels costs, before any recovery.

    python -m bench.pruners MODEL_DIRECTORY TEXT [--blocks 1-3] [--json FILE]

Prints the next-token loss in nats of every such score at 25 % and 50 %, each block by itself and
the blocks against each other, under the dense model's. Calibration windows come from the first half
of TEXT, scored windows from the second. ``random`` is one draw. The last line repeats all figures
as ``name@percent:ranking=loss``. Set OMP_NUM_THREADS=1 for small models.
"""

import argparse
import copy
import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from transformers import PreTrainedModel

from pruning.container.container import LoadedModel, load
from pruning.methods.change import Cut, apply
from pruning.methods.method import Scored, kept_of
from pruning.methods.methods import METHODS
from pruning.methods.plan import Plan, Ranking
from pruning.methods.selection import select
from pruning.methods.settings import PrunerName
from pruning.profiling.calibration_text import READ_BYTES, CalibrationText, draw_windows
from pruning.profiling.gradients import next_token_loss
from rankadaptor.blocks import parse_blocks
from rankspace.errors import RankspaceError

RATIOS = (0.25, 0.5)
RANKINGS: tuple[Ranking, ...] = ("local", "global")
WINDOWS, WINDOW_LENGTH, WINDOW_SEED = 200, 128, 7
CHUNK = 10
SCORED = {name: one.importance for name, one in METHODS.items() if isinstance(one, Scored)}


def halves(text: Path, folder: Path) -> tuple[CalibrationText, CalibrationText]:
    """Cut ``text`` in two, in ``folder``: one half to calibrate on, the other to score."""
    with text.open("rb") as file:
        whole = file.read(READ_BYTES).decode("utf-8", errors="ignore")
    middle = len(whole) // 2
    for name, part in (("first", whole[:middle]), ("second", whole[middle:])):
        (folder / name).write_text(part, encoding="utf-8")
    scored = CalibrationText(folder / "second", WINDOWS, WINDOW_LENGTH, WINDOW_SEED)
    return CalibrationText(folder / "first"), scored


@torch.no_grad()
def loss(model: PreTrainedModel, windows: torch.Tensor) -> float:
    """Mean next-token loss in nats over windows ``(n, length)``."""
    chunks = torch.split(windows, CHUNK)
    total = sum(float(next_token_loss(model, chunk)) * len(chunk) for chunk in chunks)
    return total / len(windows)


def measure(
    loaded: LoadedModel, blocks: tuple[int, ...], calibration: torch.Tensor, scored: torch.Tensor
) -> dict[str, float]:
    """Losses by ``dense`` and ``name@percent:ranking``; a pruner looks at the model once."""
    figures = {"dense": loss(loaded.model, scored)}
    for name, importance in SCORED.items():
        importances = importance(loaded.model, Plan(dict.fromkeys(blocks, 0.5)), calibration)
        for ratio in RATIOS:
            for ranking in RANKINGS:
                pruned = replace(loaded, model=copy.deepcopy(loaded.model))
                chosen = select(importances, Plan(dict.fromkeys(blocks, ratio), ranking))
                apply(pruned.model, Cut(kept_of(pruned.model, *chosen)))
                figures[_label(name, ratio, ranking)] = loss(pruned.model, scored)
    return {key: round(value, 3) for key, value in figures.items()}


def show(figures: Mapping[str, float]) -> None:
    table = Table(title=f"Loss in nats after pruning; dense {figures['dense']:.3f}")
    table.add_column("method")
    settings = [(ratio, ranking) for ratio in RATIOS for ranking in RANKINGS]
    for ratio, ranking in settings:
        table.add_column(f"{ratio:.0%} {ranking}", justify="right")
    for name in SCORED:
        table.add_row(name, *(f"{figures[_label(name, *setting)]:.3f}" for setting in settings))
    Console().print(table)


def _label(name: PrunerName, ratio: float, ranking: str) -> str:
    return f"{name}@{ratio * 100:.0f}:{ranking}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("model", type=Path, help="a Hugging Face directory or a container")
    parser.add_argument("text", type=Path, help="UTF-8; half to calibrate on, half to score")
    parser.add_argument("--blocks", help="like 1-3 [all but the ends]")
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    options = parser.parse_args()
    try:
        loaded = load(options.model)
        blocks = parse_blocks(options.blocks, len(loaded.structure.blocks))
        with tempfile.TemporaryDirectory() as folder:
            drawn = halves(options.text, Path(folder))
            calibration, scored = (draw_windows(half, loaded.tokenizer) for half in drawn)
        figures = measure(loaded, blocks, calibration, scored)
    except RankspaceError as error:
        parser.error(f"{error.detail}; {error.hint}")
    show(figures)
    if options.json:
        document = {"model": loaded.description.fingerprint, "blocks": blocks, "figures": figures}
        options.json.write_text(json.dumps(document, indent=1))
    print(" ".join(f"{name}={value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
