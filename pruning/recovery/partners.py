"""Which pairs of models can be reconstructed, one after the other."""

from pruning.container.contents import Contents
from pruning.profiling.dense_outputs import Outline
from rankspace.errors import InvalidInput


def check_partners(pruned: Contents, dense: Contents) -> None:
    """Check that the blocks of ``pruned`` differ from those of ``dense`` in their widths alone.

    Raises:
        InvalidInput: Naming the first thing that is not so.
    """
    for field, contents in (("pruned", pruned), ("dense", dense)):
        _check_whole(field, contents)
    ours, theirs = pruned.architecture, dense.architecture
    if ours.name != theirs.name:
        raise _another(dense, f"is a {theirs.name}, the pruned model a {ours.name}")
    counts = len(pruned.structure.blocks), len(dense.structure.blocks)
    if counts[0] != counts[1]:
        raise _another(dense, f"has {counts[1]} blocks, the pruned model {counts[0]}")
    Outline.of(pruned).partners(Outline.of(dense))
    for block, before in zip(pruned.structure.blocks, dense.structure.blocks, strict=True):
        place = f"block {block.original_index}"
        if block.lacks != before.lacks:
            problem = f"has no {block.lacks} in {place}, whose work no matrix there can take over"
            fix = "give a model whose blocks have all their parts"
            raise InvalidInput("pruned", str(pruned.directory), problem, fix=fix)
        if block.head_dim != before.head_dim:
            raise _another(dense, f"has another width of heads in {place}")


def _check_whole(field: str, contents: Contents) -> None:
    if contents.structure.is_factored:
        problem = "keeps matrices as two thin ones, which are not reconstructed"
        fix = "give a model of whole matrices"
        raise InvalidInput(field, str(contents.directory), problem, fix=fix)


def _another(dense: Contents, problem: str) -> InvalidInput:
    fix = "give the model this one was pruned from"
    return InvalidInput("dense", str(dense.directory), problem, fix=fix)
