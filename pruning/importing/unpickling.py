"""``pytorch_model.bin`` of LLM-Pruner: safetensors and JSON made of it, nothing of it run.

It is ``torch.save({"model": model, "tokenizer": tokenizer})`` (``hf_prune.py``); a pickled model
alone, as FLAP's older ``pruned_model.pt``, is read the same way.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from pruning.container.architecture import FAMILIES
from pruning.container.contents import TOKENIZER, TOKENIZER_FILES
from pruning.container.recognition import BESIDE, PICKLES
from pruning.container.shapes import CONFIG
from pruning.container.weights import INDEX, SINGLE, locate
from pruning.importing.inert import Inert, parameters, read_inert
from rankspace.errors import InvalidContainer


def find_pickle(source: Path) -> Path | None:
    """Return the one pickle of a directory that has no safetensors."""
    if not source.is_dir() or any((source / name).exists() for name in (SINGLE, INDEX)):
        return None
    pickles = [p for p in source.iterdir() if p.suffix in PICKLES and p.name not in BESIDE]
    return locate(source, pickles[0].name) if len(pickles) == 1 else None


def unpickle(pickle: Path, target: Path) -> None:
    """Write weights, config and tokenizer of ``pickle`` into the empty directory ``target``.

    Raises:
        InvalidContainer: It holds no model, or one of a family that is not supported.
    """
    document = read_inert(pickle)
    parts = document if isinstance(document, dict) else {"model": document}
    model = parts.get("model")
    if not isinstance(model, Inert):
        raise _other(pickle, type(model).__name__)
    (target / CONFIG).write_text(json.dumps(_config(pickle, model)), encoding="utf-8")
    state = dict(parameters(model))
    if _is_tied(model):
        state.pop("lm_head.weight", None)
    save_file({name: t.detach().contiguous() for name, t in state.items()}, target / SINGLE)
    for name in TOKENIZER_FILES:
        if (pickle.parent / name).exists():
            (target / name).write_bytes(locate(pickle.parent, name).read_bytes())
    backend = _tokenizer(parts.get("tokenizer"))
    if backend is not None and not (target / TOKENIZER).exists():
        (target / TOKENIZER).write_bytes(backend)


def _config(pickle: Path, model: Inert) -> dict[str, Any]:
    name, config = type(model).__name__, model.__dict__.get("config")
    if name not in FAMILIES or not isinstance(config, Inert):
        raise _other(pickle, name)
    public = {key: _plain(value) for key, value in vars(config).items() if not key.startswith("_")}
    for key in ("arguments", "transformers_version"):
        public.pop(key, None)
    return {**public, "architectures": [name], "model_type": FAMILIES[name].model_type}


def _plain(value: Any) -> Any:
    """A value of a config as JSON has it; objects have no effect on a stock model."""
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str) else None


def _is_tied(model: Inert) -> bool:
    return vars(vars(model)["config"]).get("tie_word_embeddings") is True


def _tokenizer(tokenizer: Any) -> bytes | None:
    """``tokenizer.json`` of a pickled fast tokenizer; a slow one holds none."""
    backend = vars(tokenizer).get("_tokenizer") if isinstance(tokenizer, Inert) else None
    state = vars(backend).get("state") if isinstance(backend, Inert) else None
    return state if isinstance(state, bytes) else None


def _other(pickle: Path, found: str) -> InvalidContainer:
    return InvalidContainer(
        pickle.name,
        found,
        "is what it holds, and no pickled model of a supported family",
        fix=f"use one of {sorted(FAMILIES)}, or safetensors",
    )
