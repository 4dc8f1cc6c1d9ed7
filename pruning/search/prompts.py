"""Prompts: what a language model is told and asked, move by move.

Self-Pruner (arXiv 2502.14413) does not state its own. Each says all there is to know: a model keeps
nothing from one question to the next.
"""

from collections.abc import Sequence

from pruning.search.evaluation import Evaluation
from pruning.search.space import RateSpace, Vector

DIGITS = 2
SHOWN = 5
"""Members of a population that a question shows, the best: windows of small models are short."""


def newcomer(space: RateSpace, population: Sequence[Evaluation]) -> str:
    """Ask for one more vector to begin with."""
    return (
        f"{_task(space)}\nKnown so far, lower loss is better:\n{_listed(population)}\n"
        f"Propose one more list, unlike these. {_form(space)}"
    )


def parents(space: RateSpace, population: Sequence[Evaluation]) -> str:
    """Ask for two members to cross."""
    return (
        f"{_task(space)}\nCandidates by number, lower loss is better:\n{_listed(population)}\n"
        "Choose two different candidates to combine. Answer only with their numbers, as a JSON "
        "list of two integers."
    )


def cross(space: RateSpace, one: Evaluation, other: Evaluation) -> str:
    """Ask for a child of two members."""
    return (
        f"{_task(space)}\nTwo candidates, lower loss is better:\n{_listed([one, other])}\n"
        f"Combine them into one new list that may do better than both. {_form(space)}"
    )


def mutate(space: RateSpace, child: Vector) -> str:
    """Ask for a changed child."""
    return (
        f"{_task(space)}\nA candidate: {_list(child)}\n"
        f"Change a few of its numbers a little, in a way that may do better. {_form(space)}"
    )


def _task(space: RateSpace) -> str:
    return (
        f"A language model's {len(space.blocks)} blocks are pruned. A list gives for each, first "
        f"to last, the share to remove, from 0 to 1; the mean must be {space.ratio:.3g}. The loss "
        "is that of the pruned model on held-out text."
    )


def _form(space: RateSpace) -> str:
    return f"Answer only with it, as a JSON list of {len(space.blocks)} numbers."


def _listed(population: Sequence[Evaluation]) -> str:
    return "\n".join(
        f"{number}: {_list(member.vector)} loss {member.loss:.3f}"
        for number, member in enumerate(population[:SHOWN])
    )


def _list(vector: Vector) -> str:
    return f"[{', '.join(f'{rate:.{DIGITS}f}' for rate in vector)}]"
