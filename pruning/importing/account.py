"""Account: what the files of a directory say of how its model was pruned, and by which tool."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pruning.container.translation import AS_IT_IS, Translation
from pruning.importing.claim import Claim


@dataclass(frozen=True, slots=True)
class Account:
    """One tool's account of a model.

    Attributes:
        tool: Its name; None where no tool is recognised.
        field: The file, and the field of it, that the account is in.
        fix: What to do when the weights are not as it says.
        translation: How to read the directory.
        claims: Sizes by index of the block in the dense model.
    """

    tool: str | None = None
    field: str = ""
    fix: str = ""
    translation: Translation = AS_IT_IS
    claims: Mapping[int, Claim] = dataclasses.field(default_factory=dict)


NO_ACCOUNT = Account()


def without_blocks(config: Mapping[str, Any], dropped: frozenset[int]) -> dict[str, Any]:
    """Take blocks out of a ``config.json``: their number, and their entries of lists per layer."""
    layers = config.get("num_hidden_layers")
    left = dict(config)
    if not dropped or type(layers) is not int:
        return left
    left["num_hidden_layers"] = layers - len(dropped)
    for key, value in config.items():
        if key.startswith("layer_") and isinstance(value, list) and len(value) == layers:
            left[key] = [entry for index, entry in enumerate(value) if index not in dropped]
    return left
