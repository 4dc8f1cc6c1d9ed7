"""Describing a model's files for the service; needs neither torch nor a GPU."""

from dataclasses import replace
from pathlib import Path

from pruning.container.contents import Contents, read_contents
from pruning.container.shapes import OUTPUT, ROTARY_BUFFER
from pruning.container.structure import matrix_name
from rankspace.pruned_model import Matrix, PrunedModel
from tuning.memory_plan.model_shape import BlockShape, ModelShape


def describe(directory: Path) -> PrunedModel:
    """Describe a container, or an ordinary uniform Hugging Face directory.

    Raises:
        InvalidContainer: The files are damaged, unsupported, or do not agree with each other.
    """
    return description_of(read_contents(directory))


def description_of(contents: Contents) -> PrunedModel:
    """Describe a directory that was read and checked already."""
    return replace(outline_of(contents), fingerprint=contents.fingerprint)


def outline_of(contents: Contents) -> PrunedModel:
    """Describe a directory whose weights nobody has read: its fingerprint is empty."""
    return PrunedModel(
        path=str(contents.directory),
        fingerprint="",
        architecture=contents.architecture.name,
        parameters=_parameters(contents),
        matrices=_matrices(contents),
        profiles=contents.manifest.profiles if contents.manifest else (),
    )


def shape_of(contents: Contents) -> ModelShape:
    """Return what decides how much memory the model's training takes."""
    architecture, family = contents.architecture, contents.architecture.family
    return ModelShape(
        hidden=architecture.hidden,
        vocabulary=architecture.vocabulary,
        parameters=_parameters(contents),
        blocks=tuple(
            BlockShape(
                block.heads,
                block.kv_heads,
                block.head_dim,
                block.ffn,
                widest_factor=max((one.rank for one in block.factors), default=0),
            )
            for block in contents.structure.blocks
        ),
        norms=len(family.norms),
        has_head_norms=family.head_norms or family.joint_norms,
        has_scores=architecture.is_capped,
        caps_logits=architecture.caps_logits,
    )


def _matrices(contents: Contents) -> tuple[Matrix, ...]:
    hidden = contents.architecture.hidden
    matrices = []
    for index, block in enumerate(contents.structure.blocks):
        for kind in block.modules:
            d_out, d_in = block.shape(kind, hidden)
            name, rank = matrix_name(index, kind), block.rank(kind) or 0
            matrices.append(Matrix(name, index, kind, d_in, d_out, factor_rank=rank))
    return tuple(matrices)


def _parameters(contents: Contents) -> int:
    tied = contents.architecture.tied
    return sum(
        header.elements
        for name, header in contents.tensors.items()
        if not name.endswith(ROTARY_BUFFER) and not (tied and name == OUTPUT)
    )
