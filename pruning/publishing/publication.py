"""Publication: a pruned model and its adapter become one model, in the form that is asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import torch

from pruning.container import writing
from pruning.container.container import LoadedModel, load_contents
from pruning.container.contents import Contents, survey
from pruning.container.manifest import CARD
from pruning.container.structure import Structure
from pruning.container.target import check_apart, check_new, check_target, drafted
from pruning.factors import multiply_out
from pruning.publishing.adapter import read_adapter
from pruning.publishing.card import Origin, card_of
from pruning.publishing.form import Form
from pruning.publishing.gguf.file import FILE, gguf_library, write_gguf
from pruning.publishing.gguf.layout import check_halves
from pruning.publishing.merging import merge
from pruning.publishing.plain import check_plain, check_whole, write_plain
from rankspace.errors import InvalidInput
from rankspace.redaction import visible


@dataclass(frozen=True, slots=True)
class Published:
    """What was written.

    Attributes:
        files: All of them.
        differs: What its reader must know of the form; empty if nothing.
    """

    files: tuple[Path, ...]
    differs: str


def publish(  # noqa: PLR0913 - what of, and how it is written
    source: Path,
    adapter: Path,
    target: Path,
    form: Form,
    origin: Origin,
    *,
    dtype: torch.dtype | None = None,
    whole: bool = False,
) -> Published:
    """Merge the adapter in the directory ``adapter`` into the model ``source``, write ``target``.

    All of it appears at ``target`` or nothing. Takes the memory of the model.

    Args:
        source: The pruned model that the adapter was trained beside.
        adapter: Peft's two files, or neither where every rank is 0.
        target: New or empty directory; for a container also one that is replaced. An empty one is
            replaced, too: a shell that is in it has to enter it again.
        form: Any but ``ADAPTER``.
        origin: For the card; its fingerprint is held against the model.
        dtype: Type of the weights that are written; None keeps the model's.
        whole: Whether matrices that are kept as factors are multiplied out.

    Raises:
        InvalidInput: Another model, an adapter of another kind, a form that cannot hold it.
        InvalidContainer: ``source`` is damaged, or ``target`` holds other things.
    """
    target = target.absolute()
    check_apart(source, target)
    (check_target if form is Form.CONTAINER else check_new)(target)
    contents = survey(source)
    structure = contents.structure.multiplied_out if whole else contents.structure
    _CHECKS[form](contents, structure)
    changes = read_adapter(adapter)
    loaded = load_contents(contents)
    _check_same(loaded, origin, source)
    if whole:
        multiply_out(loaded.model)
        loaded = replace(loaded, structure=structure)
    merge(loaded.model, changes, dtype)
    if form is Form.CONTAINER:
        differs = _write_container(loaded, origin, target)
    else:
        with drafted(target, check_new) as directory:
            differs = _WRITERS[form](loaded, origin, directory)
            (directory / CARD).write_text(_card(loaded, origin, form, differs), encoding="utf-8")
    return Published(tuple(sorted(target.iterdir())), differs)


def _write_container(loaded: LoadedModel, origin: Origin, target: Path) -> str:
    provenance = {
        "method": "recovered",
        "source": {"name": visible(Path(origin.base).name), "fingerprint": origin.fingerprint},
        "study": visible(origin.title),
        "adapter": origin.adapter,
    }
    writing.write(
        loaded.model,
        loaded.tokenizer,
        target,
        provenance=provenance,
        original=[block.original_index for block in loaded.structure.blocks],
        card=_card(loaded, origin, Form.CONTAINER, ""),
    )
    return ""


def _write_merged(loaded: LoadedModel, origin: Origin, directory: Path) -> str:
    write_plain(loaded.model, loaded.tokenizer, loaded.structure, directory)
    return ""


def _write_gguf(loaded: LoadedModel, origin: Origin, directory: Path) -> str:
    path = directory / FILE
    model, tokenizer, structure = loaded.model, loaded.tokenizer, loaded.structure
    return write_gguf(model, tokenizer, structure, path, title=visible(origin.title))


def _check_merged(contents: Contents, structure: Structure) -> None:
    check_plain(structure, contents.architecture.dense)


def _check_gguf(_contents: Contents, structure: Structure) -> None:
    gguf_library()
    check_whole(structure, Form.GGUF)
    check_halves(structure)


_CHECKS: Mapping[Form, Callable[[Contents, Structure], object]] = MappingProxyType(
    {
        Form.MERGED: _check_merged,
        Form.CONTAINER: lambda *_: None,
        Form.GGUF: _check_gguf,
    }
)
"""What can be known before gigabytes are read."""

_WRITERS: Mapping[Form, Callable[[LoadedModel, Origin, Path], str]] = MappingProxyType(
    {Form.MERGED: _write_merged, Form.GGUF: _write_gguf}
)


def _check_same(loaded: LoadedModel, origin: Origin, source: Path) -> None:
    if loaded.description.fingerprint != origin.fingerprint:
        problem = "is another model than the adapter was trained beside, or was changed since"
        fix = "give --model the directory of the model that the study was submitted with"
        raise InvalidInput("model", str(source), problem, fix=fix)


def _card(loaded: LoadedModel, origin: Origin, form: Form, differs: str) -> str:
    return card_of(
        origin,
        form,
        parameters=loaded.model.num_parameters(),
        dtype=str(loaded.model.dtype).removeprefix("torch."),
        differs=differs,
    )
