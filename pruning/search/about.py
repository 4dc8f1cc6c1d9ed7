"""What each search does and where it comes from, in two sentences; needs no torch."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class SearchName(StrEnum):
    """Ways to search rates."""

    ATP = "atp"
    RANDOM = "random"
    GENETIC = "genetic"
    SELF_PRUNER = "self-pruner"


ABOUT: Mapping[SearchName, str] = MappingProxyType(
    {
        SearchName.ATP: (
            "Tries steps of a rising arithmetic progression, evenly spaced over its legal range. "
            "ATP (arXiv 2502.14770), whose authors try every .002 on the test text."
        ),
        SearchName.RANDOM: (
            "Draws rates evenly around the ratio, each draw by itself. A control, of no paper: "
            "what any search must beat at as many evaluations."
        ),
        SearchName.GENETIC: (
            "Keeps the best few vectors, crosses two winners of tournaments and mutates the child. "
            "A plain genetic algorithm, of no paper: the control of self-pruner."
        ),
        SearchName.SELF_PRUNER: (
            "As genetic, but a language model makes first vectors, parents, crossings and "
            "mutations through prompts. Self-Pruner (arXiv 2502.14413), whose prompts are not "
            "public, on held-out text instead of WikiText-2."
        ),
    }
)
