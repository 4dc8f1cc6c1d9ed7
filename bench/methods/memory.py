"""What `loraprune` takes of memory beside `taylor`, on random weights of half a billion parameters.

    python -m bench.methods.memory [--small] [--length 64]

A Llama-shaped model in bfloat16, all of its blocks, two windows of so many tokens: one pass for
`taylor`, which then has its sums, and for `loraprune` two steps, after which it has masked. Peaks
are resident memory beyond that of the loaded model, of a process each, and with the weights. Stated
is what ``compress`` says before it starts. ``--small`` takes 3 million parameters: seconds. The
last line is for a machine. On a CPU without bfloat16 units a token of the large model takes two
seconds (``--length 4``: minutes).
"""

import argparse
import json
import os
import subprocess
import sys
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from bench.trials.process import now, peak, reset, resident
from pruning.container.assembly import read_structure, recreate_buffers
from pruning.methods.dimensions import Dimensions
from pruning.methods.methods import METHODS
from pruning.methods.plan import Plan, TrainingSettings
from pruning.methods.settings import PrunerName

NAMES = (PrunerName.TAYLOR, PrunerName.LORAPRUNE)
SAMPLES, RATIO = 2, 0.5
TRAINING = TrainingSettings(epochs=1, batch=1, every=1)
CPU = torch.device("cpu")
MIB = 2**20


def config_of(*, small: bool) -> LlamaConfig:
    """Return 516 million parameters with grouped queries, or 3 million."""
    width, depth = (128, 8) if small else (1024, 40)
    return LlamaConfig(
        hidden_size=width,
        intermediate_size=11 * width // 4,
        num_hidden_layers=depth,
        num_attention_heads=width // 64,
        num_key_value_heads=max(1, width // 256),
        vocab_size=4000 if small else 32000,
    )


def random_model(config: LlamaConfig) -> PreTrainedModel:
    torch.manual_seed(0)
    with torch.device("meta"):
        made: Any = LlamaForCausalLM(config)
    model: PreTrainedModel = made.to(torch.bfloat16).to_empty(device=CPU)
    model.requires_grad_(False)
    for parameter in model.parameters():  # norms are left as they are in a fresh model
        parameter.fill_(1.0) if parameter.dim() == 1 else parameter.uniform_(-0.03, 0.03)
    recreate_buffers(model, CPU)
    model.train(False)
    return model


def measure(name: PrunerName, *, small: bool, length: int) -> dict[str, float]:
    """Run one method in this process."""
    model = random_model(config_of(small=small))
    depth = model.config.num_hidden_layers
    plan = Plan(dict.fromkeys(range(depth), RATIO), training=TRAINING)
    windows = torch.randint(model.config.vocab_size, (SAMPLES, length))
    structure = read_structure(model, tuple(range(depth)))
    stated = METHODS[name].memory(
        Dimensions(
            structure,
            model.config.hidden_size,
            model.config.vocab_size,
            model.dtype.itemsize,
            plan.blocks,
            SAMPLES,
            length,
        )
    )
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    reset(CPU)
    before, began = resident("VmRSS"), now(CPU)
    METHODS[name](model, plan, windows)
    beside = peak(CPU) - before
    return {
        "weights": weights,
        "beside": beside,
        "stated": stated,
        "seconds": now(CPU) - began,
    }


def apart(name: PrunerName, *, small: bool, length: int) -> dict[str, float]:
    """Run one method in a process of its own, whose heap keeps nothing that was freed."""
    command = [sys.executable, "-m", "bench.methods.memory"]
    command += ["--measure", name, "--length", str(length)]
    exact = {"MALLOC_MMAP_THRESHOLD_": str(2**16)}
    done = subprocess.run(
        command + ["--small"] * small,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **exact},
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--small", action="store_true", help="3 million parameters")
    parser.add_argument("--measure", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--length", type=int, default=64, help="tokens of a window [64]")
    options = parser.parse_args()
    how = {"small": options.small, "length": options.length}
    if options.measure:
        print(json.dumps(measure(PrunerName(options.measure), **how)))
        return
    table = Table("method", "weights MiB", "beside them", "stated", "together", "CPU s")
    found = {name: apart(name, **how) for name in NAMES}
    for name, one in found.items():
        sizes = one["weights"], one["beside"], one["stated"], one["weights"] + one["beside"]
        table.add_row(name, *(f"{size / MIB:.0f}" for size in sizes), f"{one['seconds']:.1f}")
    Console(width=100).print(table)
    taylor, ours = (found[name] for name in NAMES)
    together = (ours["weights"] + ours["beside"]) / (taylor["weights"] + taylor["beside"])
    print(f"beside={ours['beside'] / taylor['beside']:.3f} together={together:.3f}")


if __name__ == "__main__":
    main()
