"""Adopting what other tools wrote: FLAP, CFSP, ShortGPT and any plain directory."""

from collections.abc import Sequence
from pathlib import Path

from pruning.container import load_contents, write
from pruning.contents import read_contents
from pruning.writing import check_target
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
    """
    check_target(target)
    loaded = load_contents(read_contents(source, infer=True))
    kept = original or [block.original_index for block in loaded.structure.blocks]
    provenance = {
        "method": "adopted",
        "source": {"name": source.resolve().name, "fingerprint": loaded.description.fingerprint},
    }
    return write(loaded.model, loaded.tokenizer, target, provenance=provenance, original=kept)
