"""Which tensors a structure needs, and whether a model's files hold exactly these."""

import re
from collections.abc import Mapping

from pruning.container.architecture import Architecture
from pruning.container.header import TensorHeader
from pruning.container.structure import Structure, matrix_name
from rankspace.errors import InvalidContainer

CONFIG, MANIFEST, WEIGHTS = "config.json", "pruned.json", "the rest of its block"
"""Where a structure may be from."""

DECODER = "model."
EMBEDDING = "model.embed_tokens.weight"
OUTPUT = "lm_head.weight"
ROTARY_BUFFER = ".rotary_emb.inv_freq"
"""Old checkpoints store this derived table; like transformers, we make our own."""

BLOCK = re.compile(r"model\.layers\.(\d+)\.")

_SIZED = re.compile(r"model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj\.(weight|bias|left|right)")
"""What pruning changes the size of."""

_ANEW = "write the container anew from the model it belongs to"

Shapes = dict[str, tuple[int, ...]]


def check_block_count(architecture: Architecture, tensors: Mapping[str, TensorHeader]) -> None:
    """Check that as many blocks lie in the headers as the config declares.

    Comes before anything is built per block: a config of a few bytes may declare two thousand
    million of them, the headers cannot.

    Raises:
        InvalidContainer: There are fewer or more.
    """
    names = [name for name in tensors if not name.endswith(ROTARY_BUFFER)]
    found = {match[1] for name in names if (match := BLOCK.match(name))}
    if not found:
        raise InvalidContainer(
            "weights",
            next(iter(names), None),
            f"no tensor is called {DECODER}layers.0 or the like",
            fix="save the language model alone, with save_pretrained",
        )
    if len(found) != architecture.layers:
        raise InvalidContainer(
            "config.json.num_hidden_layers",
            architecture.layers,
            f"the weights hold {len(found)} blocks",
            fix=f"write num_hidden_layers: {len(found)} if the others were dropped on purpose; "
            "else restore the weights, or the config that was saved with them",
        )


def expected_shapes(architecture: Architecture, structure: Structure) -> Shapes:
    """Return the shape of every tensor by name; a tied output projection is none."""
    hidden = architecture.hidden
    table = (architecture.vocabulary, hidden)
    shapes: Shapes = {EMBEDDING: table, "model.norm.weight": (hidden,)}
    if not architecture.tied:
        shapes[OUTPUT] = table
    for index in range(len(structure.blocks)):
        shapes |= _block_shapes(architecture, structure, index)
    return shapes


def check_shapes(
    architecture: Architecture,
    structure: Structure,
    tensors: Mapping[str, TensorHeader],
    source: str,
) -> None:
    """Compare the headers with what ``source`` (the file the structure is from) promises.

    Raises:
        InvalidContainer: A tensor is missing, superfluous, or of another shape.
    """
    _check_tables(architecture, tensors, source)
    expected = expected_shapes(architecture, structure)
    for name, shape in expected.items():
        if name not in tensors:
            raise _disagreement(name, None, "the weights lack this tensor", source)
        found = tensors[name].shape
        if found != shape:
            raise _disagreement(name, list(found), f"{source} promises {list(shape)}", source)
    for name, header in tensors.items():
        if name not in expected and not _tolerated(name, header, architecture):
            found = header.shape
            raise _disagreement(name, list(found), "the model has no such tensor", source)


def _check_tables(
    architecture: Architecture, tensors: Mapping[str, TensorHeader], source: str
) -> None:
    """Tokens that were added to a model, or padded, in one of three places only."""
    rows = {name: _rows(architecture, tensors.get(name)) for name in (EMBEDDING, OUTPUT)}
    embedding, output = rows[EMBEDDING], rows[OUTPUT]
    if embedding and output and embedding != output:
        fix = "make them equal: model.resize_token_embeddings(N), then save_pretrained"
        problem = f"rows are not the {embedding} of the embedding"
        raise InvalidContainer(OUTPUT, output, problem, fix=fix)
    if embedding and embedding != architecture.vocabulary:
        is_plain = source != MANIFEST
        fix = f"write vocab_size: {embedding} into config.json" if is_plain else _ANEW
        raise InvalidContainer(
            "config.json.vocab_size",
            architecture.vocabulary,
            f"the embedding has {embedding} rows",
            fix=fix,
        )


def _rows(architecture: Architecture, header: TensorHeader | None) -> int | None:
    """Rows of a table of the model's width; None of anything else."""
    if header is None or len(header.shape) != 2 or header.shape[1] != architecture.hidden:
        return None
    return header.shape[0]


def _block_shapes(architecture: Architecture, structure: Structure, index: int) -> Shapes:
    hidden, block = architecture.hidden, structure.blocks[index]
    prefix = f"model.layers.{index}"
    family = architecture.family
    removed = family.removed_norms(block)
    norms = (norm for norm in family.norms if norm not in removed)
    shapes: Shapes = {f"{prefix}.{norm}.weight": (hidden,) for norm in norms}
    for kind in block.modules:
        (d_out, d_in), name = block.shape(kind, hidden), matrix_name(index, kind)
        rank = block.rank(kind)
        if rank is None:
            shapes[f"{name}.weight"] = (d_out, d_in)
        else:
            shapes |= {f"{name}.left": (d_out, rank), f"{name}.right": (rank, d_in)}
        if kind in block.biases:
            shapes[f"{name}.bias"] = (d_out,)
    if family.head_norms and block.heads:
        shapes[f"{prefix}.self_attn.q_norm.weight"] = (block.head_dim,)
        shapes[f"{prefix}.self_attn.k_norm.weight"] = (block.head_dim,)
    if family.joint_norms and block.heads:
        shapes[f"{prefix}.self_attn.q_norm.weight"] = (block.heads * block.head_dim,)
        shapes[f"{prefix}.self_attn.k_norm.weight"] = (block.kv_heads * block.head_dim,)
    return shapes


def _tolerated(name: str, header: TensorHeader, architecture: Architecture) -> bool:
    table = (architecture.vocabulary, architecture.hidden)
    tied_copy = name == OUTPUT and architecture.tied and header.shape == table
    return tied_copy or name.endswith(ROTARY_BUFFER)


def _disagreement(name: str, value: object, problem: str, source: str) -> InvalidContainer:
    return InvalidContainer(name, value, problem, fix=_way_out(name, value, source))


def _way_out(name: str, value: object, source: str) -> str:
    if source == MANIFEST:
        return _ANEW
    if name == OUTPUT and value is None:
        return "save the whole model, not its decoder; or write tie_word_embeddings: true"
    is_of_block = _SIZED.fullmatch(name) is not None
    if source == CONFIG and is_of_block and (value is not None or name.endswith(".bias")):
        return "blocks that differ need a container: run rankadaptor adopt DIRECTORY CONTAINER"
    if is_of_block:
        return "save all matrices of every block; they have to fit each other"
    return "restore the config that was saved with these weights, or save the model anew"
