"""Dataset: the recipe's examples, what is held out of them, and the cache that keeps them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import torch

from rankspace.data_shape import DataFormat
from rankspace.errors import InvalidInput
from rankspace.observation import DataCounts
from rankspace.recipe import LEAST_HELD_OUT, Data, Inputs, Recipe
from rankspace.trial import Split
from tuning.examples import FIELD, Example, Reading
from tuning.file_hash import FileHashes
from tuning.readers import READERS
from tuning.reading.hub import located
from tuning.reading.tables import delimiter_of
from tuning.repeats import label_repeats
from tuning.seeds import stream_seed
from tuning.token_cache import TokenCache, key_of

HELD_OUT = "recipe.data.held_out"

READING = 2
"""Version of how a file is read and divided. To be raised with every change to either that makes
other examples of some file: scores of two versions are not compared. 1 divided repeats as they
came, and took control tokens that a text spells for control tokens."""

_CLOSED: tuple[DataFormat, ...] = ("instruction", "completion")
"""Formats whose answers are closed by the tokenizer's end token."""

_HeldOut: TypeAlias = dict[Split, list[int]]
"""Indices of the examples of each half."""

_Key: TypeAlias = tuple[Data, int, Inputs]
"""All that a data set depends on."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Training examples, the two halves that no trial trains on, and how they came about.

    No two of the three parts hold examples that say the same.
    """

    train: tuple[Example, ...]
    held_out: Mapping[Split, tuple[Example, ...]]
    counts: DataCounts


def prepare(data: Data, length: int, tokenizer: Any) -> Dataset:
    """Read and tokenise ``data``, and hold out a fixed random part.

    The choice depends on the examples alone, never on a trial's seed: every trial of every study
    with these data, this length and tokenizer is scored on the same.

    Raises:
        InvalidInput: Unusable content, too few examples to hold any out, too many of them equal, or
            answers that nothing would end.
        CannotOpen: A file this machine cannot read.
    """
    return divide(data, length, read(data, length, tokenizer))


def read(data: Data, length: int, tokenizer: Any) -> Reading:
    """Read and tokenise ``data``; raises what ``prepare`` does, but for what too few lead to."""
    _check_end(data, tokenizer)
    return READERS[data.format](located(FIELD, data.train), tokenizer, length)


def divide(data: Data, length: int, reading: Reading) -> Dataset:
    """Hold out what ``prepare`` says; raises what too few examples, or too equal ones, lead to."""
    if len(reading) <= data.held_out:
        raise _too_few(data, reading, length)
    labels = label_repeats(reading.examples)
    train, held_out = _divide(labels, data.held_out)
    for part, room in _rooms(data.held_out).items():
        if 2 * len(held_out[part]) < room:
            raise _too_equal(data, labels)
    examples = reading.examples
    parts = {part: tuple(examples[i] for i in chosen) for part, chosen in held_out.items()}
    return Dataset(
        tuple(examples[i] for i in train),
        MappingProxyType(parts),
        _count(reading, labels, train, held_out),
    )


def _check_end(data: Data, tokenizer: Any) -> None:
    """Without an end token a model is taught answers, and never to stop; nobody would notice.

    Of a conversation its chat template has to write one.
    """
    if data.format in _CLOSED and tokenizer.eos_token_id is None:
        raise InvalidInput(
            "recipe.data.format",
            data.format,
            "ends every answer with an end token, and the model's tokenizer names none",
            fix="name eos_token in tokenizer_config.json, or eos_token_id in config.json (for a "
            "container: in those of its source); or train on format: text",
        )


def _count(
    reading: Reading, labels: Sequence[int], train: Sequence[int], held_out: _HeldOut
) -> DataCounts:
    return DataCounts(
        rows=reading.rows,
        dropped=reading.dropped,
        cut=reading.cut,
        repeats=len(labels) - len(set(labels)),
        train=len(train),
        selection=len(held_out[Split.SELECTION]),
        final=len(held_out[Split.FINAL]),
        row_tokens=reading.row_tokens,
        example_tokens=max(len(example.tokens) for example in reading),
        shape=reading.shape,
        empty=reading.empty,
        control=reading.control,
        tokens=sum(len(example.tokens) for example in reading),
    )


def _too_few(data: Data, reading: Reading, length: int) -> InvalidInput:
    problem = f"{data.train} has only {len(reading):,} usable examples of up to {length:,} tokens"
    fix = f"give more data in {FIELD}"
    if len(reading) > LEAST_HELD_OUT:
        fix = f"hold out fewer than {len(reading):,} or {fix}"
    if reading.dropped:
        lost, longest = f"{reading.dropped:,} of its {reading.rows:,} rows", reading.row_tokens
        problem += f": {lost} leave no answer token at this length"
        fix = f"raise recipe.sequence_length (the longest row has {longest:,} tokens), or {fix}"
    return InvalidInput(HELD_OUT, data.held_out, problem, fix=fix)


def _too_equal(data: Data, labels: Sequence[int]) -> InvalidInput:
    different = len(set(labels))
    problem = f"of the {len(labels):,} examples of {data.train} only {different:,} are different"
    problem += ", and equal ones stay together: too few can be held out"
    fix = f"remove the repeats from {FIELD} and hold out at most half of what is left"
    return InvalidInput(HELD_OUT, data.held_out, problem, fix=fix)


def _rooms(count: int) -> dict[Split, int]:
    half = count // 2
    return {Split.SELECTION: half, Split.FINAL: count - half}


def _divide(labels: Sequence[int], count: int) -> tuple[list[int], _HeldOut]:
    """Hold out whole groups of equal labels, in random order, wherever there is room for one.

    Training examples keep the order of the file; the trial's seed shuffles them.
    """
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        groups[label].append(index)
    rooms = _rooms(count)
    held_out: _HeldOut = {part: [] for part in rooms}
    train: list[int] = []
    for index in _shuffled(len(labels)):
        group = groups.pop(labels[index], [])
        fitting = (part for part in rooms if len(held_out[part]) + len(group) <= rooms[part])
        part = next(fitting, None)
        (train if part is None else held_out[part]).extend(group)
    return sorted(train), held_out


def _shuffled(count: int) -> list[int]:
    generator = torch.Generator().manual_seed(stream_seed("held-out"))
    order: list[int] = torch.randperm(count, generator=generator).tolist()
    return order


class DatasetCache:
    """Keeps the ``capacity`` data sets prepared last, so that a study's trials tokenise once.

    What is tokenised is also kept in ``tokens``, if given, for whoever runs next.
    """

    def __init__(self, capacity: int = 4, tokens: TokenCache | None = None) -> None:
        self._capacity = capacity
        self._tokens = tokens
        self._datasets: dict[_Key, Dataset] = {}

    def dataset(self, recipe: Recipe, inputs: Inputs, tokenizer: Any) -> Dataset:
        """Prepare the recipe's data, or return them as prepared before from the same content.

        Args:
            recipe: Names the data and the tokens of an example.
            inputs: What the file and the ``tokenizer`` are; both known.
            tokenizer: What to prepare them with.

        Raises:
            InvalidInput, CannotOpen: See ``prepare``.
        """
        key = _key(recipe, inputs)
        if key not in self._datasets:
            reading = self._reading(recipe, inputs, tokenizer)
            self._datasets[key] = divide(recipe.data, recipe.sequence_length, reading)
            while len(self._datasets) > self._capacity:
                del self._datasets[next(iter(self._datasets))]
        return self._datasets[key]

    def _reading(self, recipe: Recipe, inputs: Inputs, tokenizer: Any) -> Reading:
        data, length = recipe.data, recipe.sequence_length
        if self._tokens is None:
            return read(data, length, tokenizer)
        path = located(FIELD, data.train)
        key = key_of(
            inputs=inputs.stated(),
            format=data.format,
            length=length,
            delimiter=delimiter_of(path),
        )
        return self._tokens.reading(
            key,
            lambda: read(data, length, tokenizer),
            lambda: FileHashes().of(FIELD, str(path)) == inputs.data,
        )

    def forget(self, recipe: Recipe, inputs: Inputs) -> None:
        """Drop what was prepared while the file turned out to be another."""
        self._datasets.pop(_key(recipe, inputs), None)


def _key(recipe: Recipe, inputs: Inputs) -> _Key:
    return recipe.data, recipe.sequence_length, inputs
