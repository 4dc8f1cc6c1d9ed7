"""How far a plan of memory is from what a training really takes.

    python -m bench.memory [--billion] [--device cpu|cuda] [--dtype float32|bfloat16] [--only NAME]
        [--held-out] [--recomputes] [--heap]

A Llama of random weights is made on the spot, with grouped queries and blocks of two widths, and
each recipe trains two steps of it in a process of its own, and with ``--held-out`` measures a
held-out loss; with ``--recomputes`` blocks are computed twice. Compared are planned bytes and the
peak: ``torch.cuda.max_memory_allocated``, or on a CPU the largest resident set (VmHWM) of either,
less what was resident before the model. There glibc is told to give freed memory back, but with
``--heap``: as workers have it. ``--billion`` makes one as large as Llama 3.2 1B, of a vocabulary of
128,256, in bfloat16: on a CPU without instructions for that, give ``--dtype float32``.
Its examples are a quarter as long, so that a CPU does it in minutes. The last line is for a
machine: the largest error of a training, as a share of what was measured, and of that but for the
weights.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from bench.trials.process import peak, reset, resident
from pruning.container.assembly import block_config, blocks_of
from pruning.container.structure import MODULES, BlockStructure, matrix_name
from rankspace.recipe import Optimizer
from tuning import memory
from tuning.back_ends import ADAPTER_BACK_ENDS, DEFAULT_BACK_END
from tuning.batches import Passes
from tuning.examples import Example
from tuning.measuring import BATCH_TOKENS, mean_loss
from tuning.memory_plan.model_shape import BlockShape, ModelShape
from tuning.memory_plan.plan import MemoryPlan
from tuning.memory_plan.training_shape import TrainingShape
from tuning.training import train

MIB = 2**20
PRUNED = 0.6
"""Part of its heads and channels that a pruned block keeps."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of a Llama; of each ``every``-th block the part ``kept`` of heads and channels is there."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocabulary: int
    tied: bool = False
    kept: float = PRUNED
    every: int = 2


@dataclass(frozen=True, slots=True)
class _Recipe:
    """Examples of a pass, their tokens, the rank, and what is adapted."""

    micro: int
    tokens: int
    rank: int
    modules: tuple[str, ...] = MODULES


@dataclass(frozen=True, slots=True)
class Found:
    """Bytes, of a training and of the held-out loss."""

    weights: int
    planned: int
    measured: int
    planned_measuring: int = 0
    measured_measuring: int = 0

    @property
    def error(self) -> float:
        return self.planned / self.measured - 1

    @property
    def error_beside(self) -> float:
        """Of all but the weights, which nobody can get wrong."""
        return (self.planned - self.weights) / (self.measured - self.weights) - 1


WARM = Size(64, 2, 4, 2, 16, 128, 512)
"""Trained first: pages of the libraries' code become resident when they are first run."""
SMALL = Size(256, 4, 8, 2, 32, 1024, 16_000)
BILLION = Size(2048, 16, 32, 8, 64, 8192, 128_256, tied=True)
RECIPES: Mapping[str, _Recipe] = MappingProxyType(
    {
        "short examples": _Recipe(4, 128, 8),
        "long examples, two matrices": _Recipe(2, 512, 8, ("q_proj", "v_proj")),
        "one at a time, high ranks": _Recipe(1, 256, 64),
    }
)


def pruned_blocks(size: Size) -> list[BlockStructure]:
    """From the second on, or from the first where it is each of them."""
    kept = max(1, round(size.kept * size.kv_heads))
    whole = BlockStructure(size.heads, size.kv_heads, size.head_dim, size.ffn, (), 0)
    heads = kept * (size.heads // size.kv_heads)
    pruned = BlockStructure(heads, kept, size.head_dim, round(size.kept * size.ffn), (), 0)
    last = size.every - 1
    return [pruned if index % size.every == last else whole for index in range(size.layers)]


def make_model(size: Size, dtype: torch.dtype, device: str) -> Any:
    """A Llama of random weights, made on the device in its type."""
    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=size.ffn,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.kv_heads,
        head_dim=size.head_dim,
        tie_word_embeddings=size.tied,
    )
    config._attn_implementation = "sdpa"
    with torch.device("meta"):
        model: Any = LlamaForCausalLM(config)
        for index, block in enumerate(pruned_blocks(size)):
            own: Any = block_config(config, block)
            blocks_of(model)[index] = LlamaDecoderLayer(own, index)
    model = model.to(dtype).to_empty(device=device)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.02) if parameter.dim() > 1 else parameter.fill_(1.0)
    model.tie_weights()
    model.model.rotary_emb = type(model.model.rotary_emb)(config=config).to(device)
    return model.train(False).requires_grad_(False)


def shape_of(size: Size, model: Any) -> ModelShape:
    """What of it decides how much memory its training takes."""
    blocks = tuple(
        BlockShape(block.heads, block.kv_heads, block.head_dim, block.ffn)
        for block in pruned_blocks(size)
    )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return ModelShape(size.hidden, size.vocabulary, parameters, blocks)


def plan_of(  # what a plan is of
    size: Size, recipe: _Recipe, model: Any, dtype: torch.dtype, device: str, recomputes: bool
) -> MemoryPlan:
    shape = shape_of(size, model)
    ranks = {(i, kind): recipe.rank for i in range(size.layers) for kind in recipe.modules}
    tokens = recipe.tokens - 1
    training = TrainingShape(shape, ranks, tokens, tokens, dtype.itemsize)
    return MemoryPlan.of(training, device, recomputes=recomputes)


def measure(
    size: Size,
    name: str,
    device: str,
    dtype: torch.dtype,
    *,
    is_held_out: bool,
    recomputes: bool = False,
) -> Found:
    """Train, and measure the held-out loss if asked to, in a process of its own."""
    recipe, place = _recipe(size, name), torch.device(device)
    _train(WARM, _Recipe(2, 16, 2), make_model(WARM, dtype, device), place, recomputes)
    memory.release(place)
    before = 0 if device == "cuda" else resident("VmRSS")
    model = make_model(size, dtype, device)
    plan = plan_of(size, recipe, model, dtype, device, recomputes)
    gc.collect()
    reset(place)
    examples = _train(size, recipe, model, place, recomputes)
    trained = peak(place) - before
    planned = plan.use(recipe.micro).total
    if not is_held_out:
        return Found(plan.weights, planned, trained)
    memory.release(place)
    reset(place)
    mean_loss(model, examples * (BATCH_TOKENS // (len(examples) * recipe.tokens) + 1), place)
    held_out = plan.weights + plan.adapters + plan.measuring
    return Found(plan.weights, planned, trained, held_out, peak(place) - before)


def _recipe(size: Size, name: str) -> _Recipe:
    recipe = RECIPES[name]
    return replace(recipe, tokens=recipe.tokens // 4) if size is BILLION else recipe


def _train(
    size: Size, recipe: _Recipe, model: Any, place: torch.device, recomputes: bool
) -> list[Example]:
    """Train a step of one pass and one of two, and leave the adapters; return the examples."""
    ranks = {matrix_name(i, k): recipe.rank for i in range(size.layers) for k in recipe.modules}
    attached = ADAPTER_BACK_ENDS[DEFAULT_BACK_END].attach(model, ranks, alpha_per_rank=2.0, seed=0)
    generator = torch.Generator().manual_seed(0)
    shape = (3 * recipe.micro, recipe.tokens)
    ids = torch.randint(size.vocabulary, shape, generator=generator, dtype=torch.int32)
    examples = [Example(row, 1) for row in ids]
    steps = [examples[: recipe.micro], examples[recipe.micro :]]
    train(
        model,
        attached.parameters,
        steps,
        Optimizer(),
        steps=2,
        passes=Passes(recipe.micro, recomputes=recomputes),
    )
    return examples


EXACT = {"MALLOC_MMAP_THRESHOLD_": str(2**16)}
"""glibc keeps pieces of up to 32 MiB that were freed, in a heap with holes, unless it is told not
to: what training asks for can then be read off the resident set."""


def apart(name: str, options: Sequence[str], environment: Mapping[str, str]) -> Found:
    """Measure a recipe in a process of its own, with the options of the command."""
    command = [sys.executable, "-m", "bench.memory", "--measure", name, *options]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    return Found(**json.loads(done.stdout.splitlines()[-1]))


def _show(found: Mapping[str, Found]) -> None:
    table = Table(title="MiB, planned at most and measured")
    for column in (
        "recipe",
        "training planned",
        "measured",
        "error",
        "without weights",
        "held-out planned",
        "measured",
    ):
        table.add_column(column, justify="left" if column == "recipe" else "right")
    for name, one in found.items():
        sizes = (one.planned, one.measured, one.planned_measuring, one.measured_measuring)
        first, second, third, fourth = (f"{size / MIB:,.0f}" for size in sizes)
        table.add_row(
            name, first, second, f"{one.error:+.1%}", f"{one.error_beside:+.1%}", third, fourth
        )
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--billion", action="store_true", help="a model as large as Llama 3.2 1B")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"))
    parser.add_argument("--only", choices=RECIPES, help="one recipe")
    parser.add_argument("--heap", action="store_true", help="with the holes of glibc's heap")
    parser.add_argument("--held-out", action="store_true", help="also the held-out loss")
    parser.add_argument("--recomputes", action="store_true", help="compute blocks twice")
    parser.add_argument("--measure", choices=RECIPES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    dtype = asked.dtype or ("bfloat16" if asked.billion else "float32")
    size = BILLION if asked.billion else SMALL
    if asked.measure:
        kind = getattr(torch, dtype)
        found = measure(
            size,
            asked.measure,
            asked.device,
            kind,
            is_held_out=asked.held_out,
            recomputes=asked.recomputes,
        )
        print(json.dumps(asdict(found)))
        return
    switches = ["--billion"] * asked.billion + ["--held-out"] * asked.held_out
    switches += ["--recomputes"] * asked.recomputes
    options = ["--device", asked.device, "--dtype", dtype, *switches]
    names = [asked.only] if asked.only else list(RECIPES)
    results = {name: apart(name, options, {} if asked.heap else EXACT) for name in names}
    _show(results)
    beside = max(abs(one.error_beside) for one in results.values())
    largest = max(abs(one.error) for one in results.values())
    print(f"without_weights={beside:.3f} largest_error={largest:.3f}")


if __name__ == "__main__":
    main()
