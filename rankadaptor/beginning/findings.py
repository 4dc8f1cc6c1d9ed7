"""Findings: what model, data and device are, before anything of a study is chosen."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pruning.container.architecture import positions
from pruning.container.contents import Contents, survey
from pruning.container.description import outline_of
from pruning.container.tokenizer import read_tokenizer
from rankadaptor.beginning.lengths import Lengths
from rankspace import PrunedModel
from rankspace.data_shape import DataFormat
from rankspace.errors import InvalidContainer
from rankspace.recipe import MAX_LENGTH, Data, Recipe
from tuning.data import read
from tuning.examples import FIELD
from tuning.memory_plan.device_memory import DeviceMemory
from tuning.reading.hub import check_cached, located
from tuning.reading.records import first_record, is_small
from tuning.reading.shapes import format_of
from tuning.reading.source import Source
from worker.trial.inspection import MOST_BYTES

ADOPT = "rankadaptor adopt DIRECTORY CONTAINER"
"""As errors of models advise it, to somebody whose directory they do not know."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Of the files, their weights left out, and of a device.

    Attributes:
        model: Its outline, by the path that the study has.
        is_container: Whether it has a ``pruned.json``.
        blocks: In all.
        smaller: Blocks that have less than those of the dense model.
        positions: Tokens it is made for, or the most there may be.
        data: Path or address of the training file, as the study has it.
        format: What its first row says.
        lengths: Of its examples; None where it is too large to look into.
        device: What trials are planned for.
        memory: Of that device.
    """

    model: PrunedModel
    is_container: bool
    blocks: int
    smaller: int
    positions: int
    data: str
    format: DataFormat
    lengths: Lengths | None
    device: torch.device
    memory: DeviceMemory


def look(model: Path, data: str, device: torch.device, memory: DeviceMemory) -> Findings:
    """Look at a model's headers and at training data.

    Args:
        model: Absolute directory.
        data: Absolute path, or an address on the hub.
        device: For trials.
        memory: Of it.

    Raises:
        InvalidContainer: The model is of no use; where adopting it helps, with the command.
        InvalidInput: The data are of no use with its tokenizer.
        CannotOpen: The data cannot be read here.
    """
    contents = _surveyed(model)
    check_cached(FIELD, data)
    source = Source(FIELD, located(FIELD, data))
    record = first_record(source)
    form: DataFormat = "text" if record is None else format_of(record)
    most = min(positions(contents.architecture.config) or MAX_LENGTH, MAX_LENGTH)
    blocks, dense = contents.structure.blocks, contents.architecture.dense
    return Findings(
        model=replace(outline_of(contents), path=str(model)),  # the links on the way stay
        is_container=contents.manifest is not None,
        blocks=len(blocks),
        smaller=sum(
            (block.heads, block.kv_heads, block.ffn) != (dense.heads, dense.kv_heads, dense.ffn)
            for block in blocks
        ),
        positions=most,
        data=data,
        format=form,
        lengths=_lengths(contents, Data(data, form), source, most),
        device=device,
        memory=memory,
    )


def _surveyed(model: Path) -> Contents:
    try:
        return survey(model)
    except InvalidContainer as error:
        if ADOPT not in error.hint:
            raise
        named = ADOPT.replace("DIRECTORY", shlex.quote(str(model)))
        named = named.replace("CONTAINER", shlex.quote(f"{model}-adopted"))
        fix = error.hint.replace(ADOPT, named)
        raise InvalidContainer(error.field, error.value, error.problem, fix=fix) from None


def _lengths(contents: Contents, data: Data, source: Source, most: int) -> Lengths | None:
    """Tokenise all there is; a text is cut into the windows that a recipe has anyway."""
    if not is_small(source, MOST_BYTES):
        return None
    is_stream = data.format == "text"
    length = min(Recipe(data).sequence_length, most) if is_stream else MAX_LENGTH
    reading = read(data, length, read_tokenizer(contents))
    if not len(reading):
        problem = "has not one example with something to predict"
        raise source.refusal(problem, "give more text, or rows with answers")
    return Lengths(
        tuple(len(example.tokens) for example in reading),
        tuple(example.prompt for example in reading),
        is_stream,
    )
