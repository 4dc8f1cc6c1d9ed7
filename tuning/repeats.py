"""Repeats: which examples say the same, so that none is learned and asked for."""

import hashlib
from collections.abc import Iterator, Sequence

from tuning.examples import DIGEST_BYTES, Example


def label_repeats(examples: Sequence[Example]) -> list[int]:
    """Return for each example the index of the first one that says the same; mostly its own.

    Two say the same if their texts do, but for white space, or if their tokens do, to which
    different texts may come once they are cut. Who says the same as a third says the same.
    """
    before = list(range(len(examples)))
    first: dict[bytes, int] = {}
    for index, example in enumerate(examples):
        for key in _keys(example):
            _join(before, first.setdefault(key, index), index)
    return [_first(before, index) for index in range(len(examples))]


def _keys(example: Example) -> Iterator[bytes]:
    tokens = example.tokens.numpy().tobytes()
    yield b"tokens" + hashlib.blake2b(tokens, digest_size=DIGEST_BYTES).digest()
    if example.said:
        yield b"text" + example.said


def _join(before: list[int], one: int, other: int) -> None:
    low, high = sorted((_first(before, one), _first(before, other)))
    before[high] = low


def _first(before: list[int], index: int) -> int:
    while before[index] != index:
        before[index] = before[before[index]]
        index = before[index]
    return index
