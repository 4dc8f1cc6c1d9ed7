"""Dataset: the recipe's examples, what is held out of them, and the cache that keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from rankspace.errors import InvalidInput
from rankspace.recipe import Data, Recipe
from rankspace.trial import Split
from tuning.examples import FIELD, READERS, Example
from tuning.seeds import stream_seed


@dataclass(frozen=True, slots=True)
class Dataset:
    """Training examples, and the two halves that no trial trains on."""

    train: tuple[Example, ...]
    held_out: Mapping[Split, tuple[Example, ...]]


def prepare(data: Data, length: int, tokenizer: Any) -> Dataset:
    """Read and tokenise ``data``, and hold out a fixed random part.

    The choice depends on the data alone, never on a trial's seed: every trial of every study on
    these data is scored on the same examples.

    Raises:
        InvalidInput: Unusable content, or too few examples to hold any out.
        CannotOpen: A file this machine cannot read.
    """
    examples = READERS[data.format](Path(data.train), tokenizer, length)
    if len(examples) <= data.held_out:
        raise InvalidInput(
            "recipe.data.held_out",
            data.held_out,
            f"{data.train} has only {len(examples)} usable examples of up to {length} tokens",
            fix=f"hold out fewer than {max(len(examples), 3)} or give more data in {FIELD}",
        )
    return _split(examples, data.held_out)


def _split(examples: tuple[Example, ...], count: int) -> Dataset:
    generator = torch.Generator().manual_seed(stream_seed("held-out"))
    order = torch.randperm(len(examples), generator=generator).tolist()
    half = count // 2
    parts = {Split.SELECTION: order[:half], Split.FINAL: order[half:count]}
    held_out = {part: tuple(examples[i] for i in chosen) for part, chosen in parts.items()}
    # Training examples keep the order of the file; the trial's seed shuffles them.
    train = tuple(examples[i] for i in sorted(order[count:]))
    return Dataset(train, MappingProxyType(held_out))


class DatasetCache:
    """Keeps the ``capacity`` data sets prepared last, so that a study's trials tokenise once."""

    def __init__(self, capacity: int = 4) -> None:
        self._capacity = capacity
        self._datasets: dict[tuple[object, ...], Dataset] = {}

    def dataset(self, recipe: Recipe, model_fingerprint: str, tokenizer: Any) -> Dataset:
        """Prepare the recipe's data, or return them as prepared before from the same file.

        Args:
            recipe: Names the data and the tokens of an example.
            model_fingerprint: Of the model whose ``tokenizer`` it is.
            tokenizer: What to prepare them with.

        Raises:
            InvalidInput, CannotOpen: See ``prepare``.
        """
        key = (recipe.data, recipe.sequence_length, model_fingerprint, *_stamp(recipe.data.train))
        if key not in self._datasets:
            self._datasets[key] = prepare(recipe.data, recipe.sequence_length, tokenizer)
            while len(self._datasets) > self._capacity:
                del self._datasets[next(iter(self._datasets))]
        return self._datasets[key]


def _stamp(path: str) -> tuple[int, ...]:
    try:
        found = Path(path).stat()
    except OSError:
        return ()  # reading it raises the error that names the field
    return (found.st_mtime_ns, found.st_size)
