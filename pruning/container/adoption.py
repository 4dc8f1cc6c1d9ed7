"""Adopting what other tools wrote: FLAP, CFSP, ShortGPT and any plain directory."""

from collections.abc import Sequence
from pathlib import Path

from pruning.container.container import load_contents, write
from pruning.container.contents import survey
from pruning.container.target import check_apart, check_target
from pruning.container.writing import check_original
from rankspace.pruned_model import PrunedModel


def adopt(source: Path, target: Path, *, original: Sequence[int] | None = None) -> PrunedModel:
    """Turn a ``save_pretrained`` directory into a container.

    The blocks' sizes are read off the weights, so that the config may be the unpruned model's, as
    FLAP and CFSP leave it; biases on ``o_proj`` and ``down_proj`` alone, as FLAP adds, are kept.

    Args:
        source: Directory with safetensors weights, ``config.json`` and ``tokenizer.json``.
        target: New, empty, or a container, which is replaced.
        original: Index in the dense model of each block that is left, where blocks were dropped.

    Raises:
        InvalidContainer: ``source`` holds no supported model, ``target`` holds other things.
        InvalidInput: ``target`` contains the source; ``original`` does not fit the blocks.
    """
    check_apart(source, target)
    check_target(target)
    contents = survey(source, infer=True)
    check_original(original, len(contents.structure.blocks))
    if original is None:
        original = [block.original_index for block in contents.structure.blocks]
    loaded = load_contents(contents)
    provenance = {
        "method": "adopted",
        "source": {"name": source.resolve().name, "fingerprint": loaded.description.fingerprint},
    }
    return write(loaded.model, loaded.tokenizer, target, provenance=provenance, original=original)
