"""How much memory and time it takes to tokenise a large text, at once, in pieces, and kept.

    python -m bench.data [--megabytes 20] [--tokenizer DIRECTORY]

Each way runs in a process of its own: ``nothing`` but imports, ``whole`` as one call of the
tokenizer, ``pieces`` as workers do, ``kept`` as a worker does that finds the tokens on disk. The
text is generated; without a DIRECTORY the tokenizer is a byte-level BPE of 4,096 tokens trained on
its beginning. The figures are the peak of the process's memory in MiB, and processor seconds. The
last line is for a machine.
"""

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from itertools import accumulate
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from rankspace.recipe import Data, Inputs, Recipe
from tuning.data import DatasetCache, divide
from tuning.examples import FIELD, Reading, windows
from tuning.file_hash import FileHashes
from tuning.token_cache import TokenCache

WAYS = ("nothing", "whole", "pieces", "kept")
LENGTH = 256
TRAINED_ON = 200_000
MIB = 2**20
SYLLABLES = ("ka", "lo", "mi", "re", "su", "ten", "var", "on", "i", "ash", "bel", "dor")


def main() -> None:
    """Measure every way, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=20)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(*_measured(given.way, given.folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        _prepare(Path(folder), given.megabytes, given.tokenizer)
        found = {way: _apart(way, folder) for way in WAYS}
    _show(found, given.megabytes)


def text_of(size: int, seed: int = 0) -> str:
    """Return ``size`` letters of made-up words in lines, where words come as often as in prose."""
    chooser = random.Random(seed)
    words = ["".join(chooser.choices(SYLLABLES, k=chooser.randint(1, 4))) for _ in range(20_000)]
    weights = list(accumulate(1 / (rank + 1) for rank in range(len(words))))
    lines = list[str]()
    left = size
    while left > 0:
        lines.append(" ".join(chooser.choices(words, cum_weights=weights, k=12)) + ".\n")
        left -= len(lines[-1])
    return "".join(lines)[:size]


def _prepare(folder: Path, megabytes: int, tokenizer: Path | None) -> None:
    text = text_of(megabytes * 10**6)
    (folder / "text.txt").write_text(text)
    if tokenizer is not None:
        (folder / "tokenizer").symlink_to(tokenizer.resolve())
    else:
        _trained(text[:TRAINED_ON]).save_pretrained(str(folder / "tokenizer"))


def _trained(text: str) -> Any:
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=4096, initial_alphabet=alphabet, special_tokens=["</s>"], show_progress=False
    )
    bare.train_from_iterator(text.splitlines(keepends=True), trainer)
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=bare, eos_token="</s>")


def _apart(way: str, folder: str) -> tuple[float, float]:
    command = [sys.executable, "-m", "bench.data", "--way", way, "--folder", folder]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, seconds = ended.stdout.split()[-2:]
    return float(peak), float(seconds)


def _measured(way: str, folder: Path) -> tuple[float, float]:
    """Peak memory of the process in MiB, and processor seconds."""
    tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(str(folder / "tokenizer"))
    path = folder / "text.txt"
    inputs = Inputs(FileHashes().of(FIELD, str(path)), "0" * 64, 1)
    recipe = Recipe(Data(str(path), "text", 2000), LENGTH)
    start = time.process_time()
    if way == "whole":
        divide(recipe.data, LENGTH, _at_once(tokenizer, path.read_text()))
    elif way != "nothing":
        cache = TokenCache(folder / "tokens")
        DatasetCache(tokens=cache).dataset(recipe, inputs, tokenizer)
    return _peak(), time.process_time() - start


def _at_once(tokenizer: Any, text: str) -> Reading:
    made = tokenizer(text, verbose=False, split_special_tokens=True, add_special_tokens=False)
    examples = windows(made["input_ids"], LENGTH)
    return Reading(examples, len(examples), row_tokens=LENGTH)


def _peak() -> float:
    """Peak memory of this process, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def _show(found: dict[str, tuple[float, float]], megabytes: int) -> None:
    table = Table("way", "peak MiB", "CPU s", title=f"{megabytes} MB of text")
    for way, (peak, seconds) in found.items():
        table.add_row(way, f"{peak:,.0f}", f"{seconds:.1f}")
    Console().print(table)
    print(" ".join(f"{way}={peak:.0f}MiB/{s:.1f}s" for way, (peak, s) in found.items()))


if __name__ == "__main__":
    main()
