"""Describing a model's files for the service; needs neither torch nor a GPU."""

from pathlib import Path

from pruning.container.contents import Contents, read_contents
from pruning.container.shapes import OUTPUT, ROTARY_BUFFER
from pruning.container.structure import MODULES, matrix_name
from rankspace.pruned_model import Matrix, PrunedModel


def describe(directory: Path) -> PrunedModel:
    """Describe a container, or an ordinary uniform Hugging Face directory.

    Raises:
        InvalidContainer: The files are damaged, unsupported, or do not agree with each other.
    """
    return description_of(read_contents(directory))


def description_of(contents: Contents) -> PrunedModel:
    """Describe a directory that was read and checked already."""
    return PrunedModel(
        path=str(contents.directory),
        fingerprint=contents.fingerprint,
        architecture=contents.architecture.name,
        parameters=_parameters(contents),
        matrices=_matrices(contents),
        profiles=contents.manifest.profiles if contents.manifest else (),
    )


def _matrices(contents: Contents) -> tuple[Matrix, ...]:
    hidden = contents.architecture.hidden
    matrices = []
    for index, block in enumerate(contents.structure.blocks):
        for kind in MODULES:
            d_out, d_in = block.shape(kind, hidden)
            matrices.append(Matrix(matrix_name(index, kind), index, kind, d_in, d_out))
    return tuple(matrices)


def _parameters(contents: Contents) -> int:
    tied = contents.architecture.tied
    return sum(
        header.elements
        for name, header in contents.tensors.items()
        if not name.endswith(ROTARY_BUFFER) and not (tied and name == OUTPUT)
    )
