"""Seconds and peak memory of every phase between a dense model and a recovered, exported one.

    python -m bench.phases [--billion] [--dtype float32|bfloat16] [--skip PHASE] [--json FILE]

A Llama of random weights is written as Hugging Face does, with grouped queries, tied embeddings and
a byte-level tokenizer. Then every phase runs in a process of its own, most of them the command that
a person types: it is compressed and adopted, loaded, fine-tuned for four steps, evaluated, and
exported as a container and as a GGUF file. Peak memory is the largest resident set of the process
(``ru_maxrss``), libraries included, beside the bytes of the weights it works on.
``--billion`` makes one as large as Llama 3.2 1B, of a vocabulary of 128,256: in bfloat16 only where
the processor has instructions for that. The last line is for a machine: the largest peak of a phase
other than the trial, and the trial's, in units of the weights.
"""

import argparse
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from bench.trial_runner import assignment, layers_of
from pruning.cards.licence import licence_of
from pruning.container.container import load
from pruning.container.description import describe
from pruning.publishing.card import Origin
from pruning.publishing.form import Form
from pruning.publishing.publication import publish
from rankspace import Purpose, RankVector
from rankspace.lease import WEIGHTS
from rankspace.recipe import Batch, Data, Optimizer, Recipe
from rankspace.trial import Split
from tuning.file_hash import FileHashes
from worker.trial.evaluation import Evaluator

MIB = 2**20
STEPS, LENGTH, RANK = 4, 32, 8
RATIO = "0.2"
"""Share of heads and channels that is removed."""

SIZES: Mapping[str, LlamaConfig] = MappingProxyType(
    {
        "small": LlamaConfig(
            vocab_size=16_000,
            hidden_size=512,
            intermediate_size=2048,
            num_hidden_layers=6,
            num_attention_heads=8,
            num_key_value_heads=2,
            tie_word_embeddings=True,
        ),
        "billion": LlamaConfig(
            vocab_size=128_256,
            hidden_size=2048,
            intermediate_size=8192,
            num_hidden_layers=16,
            num_attention_heads=32,
            num_key_value_heads=8,
            tie_word_embeddings=True,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a phase took.

    Attributes:
        seconds: Of the clock.
        peak: Bytes of the largest resident set.
        weights: Bytes of the weights of the model that it worked on.
    """

    seconds: float
    peak: int
    weights: int

    @property
    def ratio(self) -> float:
        return self.peak / self.weights


def make_dense(size: str, dtype: torch.dtype, home: Path) -> None:
    """Write ``home/dense`` and the texts."""
    torch.manual_seed(0)
    config = SIZES[size]
    with torch.device("meta"):
        model: Any = LlamaForCausalLM(config)
    model = model.to(dtype).to_empty(device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.02) if parameter.dim() > 1 else parameter.fill_(1.0)
    model.tie_weights()
    model.generation_config.eos_token_id = None
    model.save_pretrained(home / "dense", max_shard_size="1GB")
    _tokenizer(config.vocab_size).save_pretrained(home / "dense")
    words = [f"phrase {at % 97} of line {at}" for at in range(4_000)]
    (home / "text.txt").write_text("\n".join(words), encoding="utf-8")


def _tokenizer(size: int) -> Any:
    """Bytes, and as many pairs and triples of them as the vocabulary wants."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = list(itertools.product(letters, letters))
    triples = (
        (first + second, third) for (first, second), third in itertools.product(pairs, letters)
    )
    merges = list(itertools.islice(itertools.chain(pairs, triples), size - len(letters) - 1))
    words = [*letters, *("".join(merge) for merge in merges), "</s>"]
    inner = Tokenizer(models.BPE(vocab={word: at for at, word in enumerate(words)}, merges=merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=inner, eos_token="</s>")


def _load(home: Path) -> None:
    load(home / "pruned")


def _trial(home: Path) -> None:
    """Four steps of two examples, every matrix adapted; the adapter is kept."""
    model = describe(home / "pruned")
    layers = layers_of(model)
    recipe = Recipe(
        Data(str(home / "text.txt"), "text", held_out=8),
        sequence_length=LENGTH,
        batch=Batch(2, 2),
        optimizer=Optimizer(learning_rate=1e-3, warmup_steps=1),
    )
    vector = RankVector((RANK,) * len(layers))
    order = assignment(model, recipe, layers, vector, seed=0, steps=STEPS)
    order = replace(order, purpose=Purpose.RECOVER, split=Split.FINAL, keep_adapter=True)
    folder = home / "adapter"
    folder.mkdir()
    measured = Evaluator(torch.device("cpu")).evaluate(order, lambda *_: False, folder)
    print(f"held-out loss {measured.loss:.4f}; {dict(measured.seconds)}", file=sys.stderr)


def _export(home: Path, form: Form) -> None:
    adapter = home / "adapter"
    origin = Origin(
        title="bench",
        base=str(home / "pruned"),
        fingerprint=describe(home / "pruned").fingerprint,
        adapter=FileHashes().of("adapter", str(adapter / WEIGHTS)),
        recipe={},
        verdict="",
        licence=licence_of(home / "pruned"),
    )
    publish(home / "pruned", adapter, home / form.value, form, origin)


OWN: Mapping[str, Callable[[Path], None]] = MappingProxyType(
    {
        "load": _load,
        "trial": _trial,
        "container": lambda home: _export(home, Form.CONTAINER),
        "gguf": lambda home: _export(home, Form.GGUF),
    }
)
"""Phases that no command is for by itself: a worker or ``export`` does them beside a service."""


PROGRAM = (sys.executable, "-m", "rankadaptor.cli")


def commands(home: Path, blocks: int) -> Mapping[str, tuple[Sequence[str], str]]:
    """By phase what is run, and the folder whose weights it works on."""
    dense, pruned, text = (str(home / name) for name in ("dense", "pruned", "text.txt"))
    pruning = ["--text", text, "--ratio", RATIO, "--blocks", f"1-{blocks - 2}"]
    windows = ["--samples", "2", "--length", str(LENGTH)]
    texts = ["--perplexity", text, "--window", str(LENGTH), "--limit", "4"]
    own = [sys.executable, "-m", "bench.phases", "--home", str(home), "--phase"]
    return {
        "compress, by magnitude": (
            [*PROGRAM, "compress", "magnitude", dense, pruned, *pruning, *windows],
            "dense",
        ),
        "compress, by gradients": (
            [*PROGRAM, "compress", "taylor", dense, f"{pruned}-taylor", *pruning, *windows],
            "dense",
        ),
        "adopt": ([*PROGRAM, "adopt", dense, str(home / "adopted")], "dense"),
        "load": ([*own, "load"], "pruned"),
        "trial": ([*own, "trial"], "pruned"),
        "evaluate": ([*PROGRAM, "evaluate", pruned, *texts], "pruned"),
        "export as container": ([*own, "container"], "pruned"),
        "export as GGUF": ([*own, "gguf"], "pruned"),
    }


def measure(command: Sequence[str], weights: int) -> Taken:
    """Run it to its end; fail with what it said if it fails."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)}: {said.read().decode()[-3000:]}")
    return Taken(time.monotonic() - began, usage.ru_maxrss << 10, weights)


def run(size: str, dtype: str, home: Path, skipped: Sequence[str]) -> dict[str, Taken]:
    """Every phase after the other, but those that are skipped."""
    # Apart: a process starts with the peak of the one that started it.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        apart.submit(make_dense, size, getattr(torch, dtype), home).result()
    found: dict[str, Taken] = {}
    for phase, (command, folder) in commands(home, SIZES[size].num_hidden_layers).items():
        if phase not in skipped:
            found[phase] = measure(command, _weights(home / folder))
            taken = found[phase]
            print(f"{phase}: {taken.seconds:.0f} s, {taken.peak / MIB:,.0f} MiB", file=sys.stderr)
    return found


def _weights(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def _show(found: Mapping[str, Taken]) -> None:
    table = Table(title="A process for each phase")
    for column in ("phase", "seconds", "peak MiB", "weights MiB", "peak / weights"):
        table.add_column(column, justify="left" if column == "phase" else "right")
    for phase, one in found.items():
        sizes = f"{one.peak / MIB:,.0f}", f"{one.weights / MIB:,.0f}"
        table.add_row(phase, f"{one.seconds:.0f}", *sizes, f"{one.ratio:.2f}")
    Console(width=100).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--billion", action="store_true", help="a model as large as Llama 3.2 1B")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--skip", action="append", default=[], help="a phase; may be repeated")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--phase", choices=OWN, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.phase:
        OWN[asked.phase](asked.home)
        return
    size = "billion" if asked.billion else "small"
    with tempfile.TemporaryDirectory(prefix="phases-") as name:
        found = run(size, asked.dtype, Path(name), asked.skip)
    _show(found)
    if asked.json:
        asked.json.write_text(json.dumps({phase: asdict(one) for phase, one in found.items()}))
    trial = found.pop("trial", None)
    most = max(one.ratio for one in found.values())
    print(f"largest_but_trial={most:.2f} trial={trial.ratio if trial else math.nan:.2f}")


if __name__ == "__main__":
    main()
