"""``pytorch_model.bin`` of LLM-Pruner: safetensors and JSON made of it, nothing of it run.

It is ``torch.save({"model": model, "tokenizer": tokenizer})`` (``hf_prune.py``); a pickled model
alone, as FLAP's older ``pruned_model.pt``, is read the same way.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from pruning.container.architecture import FAMILIES
from pruning.container.contents import TOKENIZER, TOKENIZER_FILES
from pruning.container.recognition import BESIDE, PICKLES
from pruning.container.shapes import CONFIG, EMBEDDING, OUTPUT
from pruning.container.weights import INDEX, SINGLE, locate
from pruning.importing.inert import Global, Inert, Malformed, Storage, View
from pruning.importing.pickle_file import PickleFile, unread
from pruning.importing.room import check_room
from rankspace.errors import InvalidContainer


def find_pickle(source: Path) -> Path | None:
    """Return the one pickle of a directory that has no safetensors."""
    if not source.is_dir() or any((source / name).exists() for name in (SINGLE, INDEX)):
        return None
    pickles = [p for p in source.iterdir() if p.suffix in PICKLES and p.name not in BESIDE]
    return locate(source, pickles[0].name) if len(pickles) == 1 else None


MOST_DEPTH = 64
"""Of modules within modules, and of lists within a config; of real ones, less than ten."""

MOST_CONFIG = 1_000_000
"""Values and characters of a config; of real ones, some thousands."""

MOST_NAME = 200
"""Characters of a parameter's or a module's own name."""


def unpickle(pickle: Path, target: Path) -> None:
    """Write weights, config and tokenizer of ``pickle`` into the empty directory ``target``.

    Raises:
        InvalidContainer: It holds no model, one of a family that is not supported, or is no file
            that ``torch.save`` writes of one.
        InvalidInput: Its weights do not fit into memory.
        OSError: There is no place for it.
    """
    file = PickleFile(pickle)
    try:
        parts = file.document if isinstance(file.document, dict) else {"model": file.document}
        model = parts.get("model")
        if not isinstance(model, Inert):
            raise _other(pickle, type(model).__name__)
        config = _config(pickle, model)
        encoded = json.dumps(config).encode()
        views = dict(_parameters(model, "", set()))
        backend = _tokenizer(parts.get("tokenizer"))
        if config.get("tie_word_embeddings") is True:
            _untie(views)
    except (Malformed, ValueError, RecursionError) as error:
        raise unread(pickle, error) from None
    found = file.tensors(views)
    check_room(pickle, sum(tensor.nbytes for tensor in found.values()))
    tensors = {name: tensor.contiguous() for name, tensor in found.items()}
    (target / CONFIG).write_bytes(encoded)
    try:
        save_file(tensors, target / SINGLE)
    except RuntimeError as error:  # records that overlap: two tensors in the same bytes
        raise unread(pickle, error) from None
    for name in TOKENIZER_FILES:
        if (pickle.parent / name).exists():
            (target / name).write_bytes(locate(pickle.parent, name).read_bytes())
    if backend is not None and not (target / TOKENIZER).exists():
        (target / TOKENIZER).write_bytes(backend)


def _parameters(module: Inert, prefix: str, seen: set[int]) -> Iterator[tuple[str, View]]:
    """Yield the parameters of a module and of all below it by name, as ``named_parameters``."""
    if id(module) in seen or prefix.count(".") > MOST_DEPTH:
        raise Malformed(f"the module {prefix[:100]!r} is in itself, in it twice, or too deep in it")
    seen.add(id(module))
    for name, view in _named(module, "_parameters").items():
        if isinstance(view, View):
            yield prefix + name, view
        elif view is not None:
            raise Malformed(f"{(prefix + name)[:100]!r} is no dense tensor of numbers in the file")
    for name, child in _named(module, "_modules").items():
        if isinstance(child, Inert):
            yield from _parameters(child, f"{prefix}{name}.", seen)
        elif child is not None:
            raise Malformed(f"{(prefix + name)[:100]!r} is no module")


def _untie(views: dict[str, View]) -> None:
    """Leave out the second name of a table that is in the file once."""
    output, table = views.get(OUTPUT), views.get(EMBEDDING)
    if output is None:
        return
    if table is None or _place(output) != _place(table):
        raise Malformed(f"its config ties {OUTPUT!r} to {EMBEDDING!r}, which is another tensor")
    del views[OUTPUT]


def _place(view: View) -> tuple[Any, ...]:
    key = view.storage.key if isinstance(view.storage, Storage) else None
    return key, view.offset, view.size, view.stride


def _state(thing: Inert) -> dict[Any, Any]:
    return thing.state if type(thing.state) is dict else {}


def _named(module: Inert, part: str) -> dict[str, Any]:
    named = _state(module).get(part, {})
    if type(named) is not dict or not all(map(_is_name, named)):
        raise Malformed(f"{part} of {module.name[:100]} is no dict of names")
    return named


def _is_name(name: Any) -> bool:
    """As torch has it; a point would make it another module's, a lone surrogate is no text."""
    return type(name) is str and len(name) <= MOST_NAME and name.isprintable() and "." not in name


def _config(pickle: Path, model: Inert) -> dict[str, Any]:
    name, config = model.name.rpartition(".")[2], _state(model).get("config")
    if name not in FAMILIES or not isinstance(config, Inert):
        raise _other(pickle, name)
    values = [MOST_CONFIG]
    public = {
        key: _plain(value, 0, values)
        for key, value in _state(config).items()
        if type(key) is str and not key.startswith("_") and key != "transformers_version"
    }
    return {**public, "architectures": [name], "model_type": FAMILIES[name].model_type}


def _plain(value: Any, depth: int, left: list[int]) -> Any:
    """A value of a config as JSON has it; objects have no effect on a stock model."""
    left[0] -= 1 + (len(value) if isinstance(value, str) else 0)
    if depth > MOST_DEPTH or left[0] < 0:
        raise Malformed("its config is in itself, too deep or too large")
    if isinstance(value, Global):
        return value.name.removeprefix("torch.")
    if isinstance(value, dict):
        return {
            _plain(str(key), depth + 1, left): _plain(item, depth + 1, left)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1, left) for item in value]
    return value if isinstance(value, bool | int | float | str) else None


def _tokenizer(tokenizer: Any) -> bytes | None:
    """``tokenizer.json`` of a pickled fast tokenizer; a slow one holds none."""
    backend = _state(tokenizer).get("_tokenizer") if isinstance(tokenizer, Inert) else None
    return backend.state if isinstance(backend, Inert) and type(backend.state) is bytes else None


def _other(pickle: Path, found: str) -> InvalidContainer:
    return InvalidContainer(
        pickle.name,
        found,
        "is what it holds, and no pickled model of a supported family",
        fix=f"use one of {sorted(FAMILIES)}, or safetensors",
    )
