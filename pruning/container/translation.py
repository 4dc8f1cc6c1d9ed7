"""Translation: what another tool says of its model, in the words of a stock one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Translation:
    """How to read a directory that is not written as transformers would write it.

    Attributes:
        config: Taken for the content of ``config.json``; None takes the file's.
        dropped: Numbers of blocks that the tool skips whole; what is stored of them is not read.
        without_attention: Numbers of blocks whose attention it skips; norms that are stored of it
            are not read.
        without_mlp: Likewise, of the MLP.
    """

    config: Mapping[str, Any] | None = None
    dropped: frozenset[int] = frozenset()
    without_attention: frozenset[int] = frozenset()
    without_mlp: frozenset[int] = frozenset()


AS_IT_IS = Translation()
