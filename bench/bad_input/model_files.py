"""Model directories that something is wrong with, as tools, copies and people leave them."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.bad_input.answer import Answer, run

Damage = Callable[[Path], object]


def _edit(name: str, change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(directory: Path) -> None:
        document = json.loads((directory / name).read_text())
        change(document)
        (directory / name).write_text(json.dumps(document))

    return damage


def _config(**changes: Any) -> Damage:
    return _edit("config.json", lambda document: document.update(changes))


def _block(**changes: Any) -> Damage:
    return _edit("pruned.json", lambda d: d["structure"]["blocks"][1].update(changes))


def _write(name: str, content: str | bytes) -> Damage:
    raw = content if isinstance(content, bytes) else content.encode()
    return lambda directory: (directory / name).write_bytes(raw)


def _cut(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-64])


def _link(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.rename(directory.parent / "elsewhere.safetensors")
    path.symlink_to(directory.parent / "elsewhere.safetensors")


def _rename_tensors(change: Callable[[str], str]) -> Damage:
    """Rewrite the header of the weights; names may grow."""

    def damage(directory: Path) -> None:
        path = directory / "model.safetensors"
        raw = path.read_bytes()
        length = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + length])
        renamed = {n if n == "__metadata__" else change(n): v for n, v in header.items()}
        text = json.dumps(renamed).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])

    return damage


def _header(change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(directory: Path) -> None:
        path = directory / "model.safetensors"
        raw = path.read_bytes()
        length = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + length])
        change(header)
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])

    return damage


def _only(*names: str) -> Damage:
    """Leave nothing else in the directory."""

    def damage(directory: Path) -> None:
        for path in directory.iterdir():
            if path.name not in names:
                path.unlink()

    return damage


def _adapter(directory: Path) -> None:
    _only("model.safetensors")(directory)
    (directory / "model.safetensors").rename(directory / "adapter_model.safetensors")
    (directory / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8}')


def _a_file(directory: Path) -> None:
    shutil.rmtree(directory)
    directory.write_bytes(b"PK\x03\x04")


FIRST = "model.layers.0.self_attn.q_proj.weight"

DAMAGES: Mapping[str, Damage] = {
    "no config.json": lambda d: (d / "config.json").unlink(),
    "config.json is not JSON": _write("config.json", "{"),
    "config.json is a list": _write("config.json", "[]"),
    "config.json is UTF-16": _write("config.json", "{}".encode("utf-16")),
    "config.json is empty": _write("config.json", ""),
    "unknown architecture": _config(architectures=["BertModel"]),
    "no architecture": _config(architectures=[]),
    "remote code asked for": _config(auto_map={"AutoModel": "x.y"}),
    "no blocks": _config(num_hidden_layers=0),
    "more blocks than weights": _config(num_hidden_layers=9),
    "blocks as text": _config(num_hidden_layers="3"),
    "a negative width": _config(hidden_size=-32),
    "hidden size that disagrees": _config(hidden_size=64),
    "vocabulary that disagrees": _config(vocab_size=12),
    "layer types of another depth": _config(layer_types=["full_attention"] * 9),
    "another schema version": _edit("pruned.json", lambda p: p.update(schema=99)),
    "a manifest that is no manifest": _write("pruned.json", '"yes"'),
    "FFN width disagrees": _block(ffn=7),
    "kv heads do not divide heads": _block(heads=3, kv_heads=2),
    "no heads": _block(heads=0, kv_heads=0),
    "weights cut off": _cut,
    "weights of no bytes": _write("model.safetensors", b""),
    "weights that are text": _write("model.safetensors", "<!DOCTYPE html>" * 40),
    "a pointer of Git LFS": _write(
        "model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    ),
    "a header of 2**63 bytes": _write("model.safetensors", b"\xff" * 64),
    "weights are a link to outside": _link,
    "a pickle instead of weights": lambda d: (d / "model.safetensors").rename(d / "model.bin"),
    "a lone pickle": lambda d: (
        _only("model.safetensors")(d),
        (d / "model.safetensors").rename(d / "pytorch_model.bin"),
    ),
    "an adapter instead of a model": _adapter,
    "an empty directory": _only(),
    "a file instead of a directory": _a_file,
    "no directory at all": shutil.rmtree,
    "names of torch.compile": _rename_tensors(lambda name: f"_orig_mod.{name}"),
    "names of DataParallel": _rename_tensors(lambda name: f"module.{name}"),
    "names of peft": _rename_tensors(lambda name: f"base_model.model.{name}"),
    "names of another family": _rename_tensors(lambda name: name.replace("layers", "h")),
    "one matrix missing": _header(lambda header: header.pop(FIRST)),
    "one matrix of another shape": _header(lambda header: header[FIRST].update(shape=[1, 1024])),
    "one matrix of another type": _header(lambda header: header[FIRST].update(dtype="F8")),
    "no tokenizer": lambda d: (d / "tokenizer.json").unlink(),
    "a tokenizer that is no JSON": _write("tokenizer.json", "{"),
}


def answers(place: Path) -> Iterator[Answer]:
    """What ``profile`` says, which opens all of a model."""
    for given, damage in DAMAGES.items():
        copy = place / "damaged" / "m"
        shutil.rmtree(copy.parent, ignore_errors=True)
        shutil.copytree(place / "pruned", copy)
        damage(copy)
        command = ["profile", str(copy), "--text", str(place / "text.txt"), "--samples", "2"]
        yield run("model", given, *command, "--length", "16")
