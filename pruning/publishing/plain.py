"""An ordinary Hugging Face directory, of a model whose blocks all have one size."""

from dataclasses import replace
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pruning.container.assembly import block_config
from pruning.container.contents import survey
from pruning.container.structure import BlockStructure, Structure
from pruning.container.writing import SHARD_BYTES, write_files
from pruning.publishing.form import Form
from rankspace.errors import InvalidInput


def check_plain(structure: Structure, dense: BlockStructure) -> None:
    """Check that one config describes every block.

    Raises:
        InvalidInput: Naming two blocks that differ, biases that no config announces, or factors.
    """
    check_whole(structure, Form.MERGED)
    first = replace(structure.blocks[0], original_index=0)
    for index, block in enumerate(structure.blocks):
        if block.lacks is not None:
            problem = f"block {index} has no {block.lacks}, for which config.json has no words"
            raise _other_form(problem)
        if replace(block, original_index=0) != first:
            problem = f"blocks 0 and {index} differ in size, for which config.json has no words"
            raise _other_form(problem)
    if first.biases != dense.biases:
        raise _other_form(f"the biases of {', '.join(first.biases)} have no place in config.json")


def check_whole(structure: Structure, form: Form) -> None:
    """Check that no matrix is kept as factors, which only a container has words for.

    Raises:
        InvalidInput: One is, with what it takes to write it whole.
    """
    for index, block in enumerate(structure.blocks):
        for one in block.factors:
            problem = f"block {index} keeps {one.kind} as factors of rank {one.rank}"
            fix = "add --multiply-out, which makes the model larger, or use --format container"
            raise InvalidInput("format", form.value, problem, fix=fix)


def write_plain(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    structure: Structure,
    directory: Path,
) -> None:
    """Write ``model``, which ``check_plain`` let pass, and read it back but for the weights."""
    model.config = block_config(model.config, structure.blocks[0])
    write_files(model, tokenizer, directory, SHARD_BYTES)
    survey(directory)


def _other_form(problem: str) -> InvalidInput:
    fix = "use --format container, or gguf for llama.cpp"
    return InvalidInput("format", Form.MERGED.value, problem, fix=fix)
