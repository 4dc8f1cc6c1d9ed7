"""What must hold before heads and channels are removed."""

from pruning.container.contents import Contents
from pruning.container.structure import Structure
from pruning.methods.plan import Plan
from pruning.methods.selection import spared
from rankspace.errors import InvalidInput


def check_cut(contents: Contents, blocks: tuple[int, ...]) -> None:
    """Check that heads and channels can be removed one by one from these blocks.

    Raises:
        InvalidInput: Heads are normalised together, or a block lacks one of its halves.
    """
    if contents.architecture.family.joint_norms:
        raise InvalidInput(
            "source",
            contents.architecture.name,
            "normalises queries and keys over all heads of a block: without some of them the "
            "others would be scaled anew",
            fix="prune another family, or drop whole blocks (depth-taylor, depth-perplexity); a "
            "model whose channels were pruned elsewhere is accepted",
        )
    check_halves(contents.structure, blocks)


def check_halves(structure: Structure, blocks: tuple[int, ...]) -> None:
    """Check that these blocks have both attention and MLP.

    Raises:
        InvalidInput: One lacks a half.
    """
    for index in blocks:
        lacks = structure.blocks[index].lacks
        if lacks is not None:
            problem = f"names block {index}, which has no {lacks} any more"
            whole = [i for i in blocks if structure.blocks[i].lacks is None]
            fix = f"leave it out: {','.join(map(str, whole))}" if whole else "name others"
            raise InvalidInput("blocks", blocks, problem, fix=fix)


def check_removes(structure: Structure, plan: Plan, ratio: float) -> None:
    """Check that the shares of heads and channels do not all round to none.

    Raises:
        InvalidInput: They do; with the ratio from which on they do not.
    """
    found = spared(structure, plan)
    asked = sum(rate > 0.0 for rate in plan.rates.values())
    if sum(len(kind.blocks) for kind in found) < 2 * asked:
        return
    problem = f"removes nothing: {'; '.join(kind.sentence for kind in found)}"
    least = min(kind.above for kind in found)
    fix = f"use more than {least:.3g}" if least < 1 else "leave the model as it is"
    raise InvalidInput("ratio", ratio, problem, fix=fix)
