"""What each answer of a verdict means, in the one sentence that every view shows."""

from collections.abc import Mapping
from types import MappingProxyType

from rankspace.verdict import Answer

SENTENCES: Mapping[Answer, str] = MappingProxyType(
    {
        Answer.BETTER: "The searched ranks are better than uniform ranks at the same budget.",
        Answer.NO_DIFFERENCE_SHOWN: "They cannot be told from uniform ranks; keep the cheaper.",
        Answer.WORSE: "The searched ranks are worse than uniform ranks; keep uniform.",
    }
)
