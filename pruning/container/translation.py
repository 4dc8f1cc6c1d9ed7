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
    """

    config: Mapping[str, Any] | None = None
    dropped: frozenset[int] = frozenset()


AS_IT_IS = Translation()
