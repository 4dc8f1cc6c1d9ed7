"""How far the ranks of the control ``eva`` are those that peft's EVA gives, and on how few tokens.

    python -m bench.eva MODEL_DIRECTORY TEXT [--rank 3] [--rho 2]

At one parameter a rank, for peft counts ranks: how many of them lie on another matrix. First by the
number of batches that peft gets the same tokens in, for it stops looking at a matrix whose
components have settled; then by the number of tokens that we look at. The last line repeats the
figures as ``name=moved``.
"""

import argparse
import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import EvaConfig, LoraConfig
from peft.tuners.lora.eva import get_eva_state_dict
from rich.console import Console
from rich.table import Table

from perfmodel.evidence.controls import control_vector
from pruning.container.container import LoadedModel, load
from pruning.container.structure import MODULES
from pruning.profiling.calibration_text import CalibrationText, draw_windows
from pruning.profiling.profile import profile
from rankspace import Context, Layer, LayerProfile, SearchSpace
from rankspace.study import Control

Ranks = Mapping[str, int]
LENGTH = 64
WINDOWS = (10, 40, 160)
COMPARED = 64
BATCHES = (1, 4, 16)


@dataclass(frozen=True, slots=True)
class Spending:
    """What is spent: ``rank`` of each matrix in the mean, at most ``rho`` times it on one."""

    rank: int
    rho: int


def our_ranks(profiles: Sequence[LayerProfile], spending: Spending) -> Ranks:
    """Of the control, where every rank costs the same and all are allowed."""
    layers = tuple(Layer(one.name, 1) for one in profiles)
    ranks = tuple(range(spending.rank * spending.rho + 1))
    space = SearchSpace(layers, ranks, spending.rank * len(layers))
    vector = control_vector(Control.EVA, space, Context(profiles=tuple(profiles)))
    assert vector is not None, "the profiles do not tell the explained variance"
    return dict(zip((layer.name for layer in layers), vector.ranks, strict=True))


def peft_ranks(
    model: LoadedModel, windows: torch.Tensor, spending: Spending, batches: int = 1
) -> Ranks:
    """Of peft's EVA on ``windows``, ``(n, length)``, in so many batches, taken by turns."""
    config = LoraConfig(
        r=spending.rank,
        target_modules=list(MODULES),
        init_lora_weights="eva",
        eva_config=EvaConfig(rho=spending.rho),
    )
    data = [
        {"input_ids": ids, "attention_mask": torch.ones_like(ids)} for ids in windows.chunk(batches)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peft's own config
        found = get_eva_state_dict(
            copy.deepcopy(model.model), data, config, show_progress_bar=False
        )
    return {name: len(components) for name, components in found.items()}


def moved(ours: Ranks, theirs: Ranks) -> int:
    """How many ranks lie on another matrix."""
    return sum(max(0, rank - theirs[name]) for name, rank in ours.items())


def measure(model: LoadedModel, text: Path, spending: Spending) -> Iterator[tuple[str, int]]:
    """Yield each comparison's name and the ranks that moved."""
    drawn = {n: _draw(model, text, n) for n in (*WINDOWS, COMPARED)}
    ours = {n: our_ranks(profile(model, windows), spending) for n, windows in drawn.items()}
    for batches in BATCHES:
        theirs = peft_ranks(model, drawn[COMPARED], spending, batches)
        yield f"peft@{batches}-batches", moved(ours[COMPARED], theirs)
    for count in WINDOWS[:-1]:
        yield f"{count * LENGTH}-tokens", moved(ours[count], ours[WINDOWS[-1]])


def _draw(model: LoadedModel, text: Path, samples: int) -> torch.Tensor:
    return draw_windows(CalibrationText(text, samples, LENGTH), model.tokenizer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--rank", type=int, default=3)
    parser.add_argument("--rho", type=int, default=2)
    given = parser.parse_args()
    model = load(given.model)
    spending = Spending(given.rank, given.rho)
    total = given.rank * len(model.description.matrices)
    table = Table("compared", "ranks moved", f"of {total}")
    figures = dict(measure(model, given.text, spending))
    for name, count in figures.items():
        table.add_row(name, f"{count}", f"{count / total:.1%}")
    Console().print(table)
    print(" ".join(f"{name}={count}" for name, count in figures.items()))


if __name__ == "__main__":
    main()
