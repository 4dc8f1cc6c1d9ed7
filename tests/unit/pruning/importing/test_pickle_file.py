"""Pickles written by hand: each is refused as a malformed file, and calls nothing."""

import struct
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.device_mesh  # puts DeviceMesh on torch's own list of what may be called

from pruning.importing.adoption import adopt
from pruning.importing.unpickling import unpickle
from rankspace.errors import InvalidContainer, InvalidInput


def name(dotted: str) -> bytes:
    module, _, own = dotted.rpartition(".")
    return f"c{module}\n{own}\n".encode()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def row(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def table(*parts: bytes) -> bytes:
    return b"}(" + b"".join(parts) + b"u"


def call(dotted: str, *arguments: bytes) -> bytes:
    return name(dotted) + row(*arguments) + b"R"


def made(dotted: str, state: bytes) -> bytes:
    return name(dotted) + b")\x81" + state + b"b"


def tensor(size: tuple[int, ...] = (2, 2), stride: tuple[int, ...] = (2, 1), **more: Any) -> bytes:
    kind, key, offset = (
        more.get("kind", "FloatStorage"),
        more.get("key", text("0")),
        more.get("at", 0),
    )
    storage = row(text("storage"), name(f"torch.{kind}"), key, text("cpu"), number(4)) + b"Q"
    shape = (row(*map(number, size)), row(*map(number, stride)))
    rebuild = "torch._utils._rebuild_tensor_v2"
    return call(rebuild, storage, number(offset), *shape, b"\x89", call("collections.OrderedDict"))


def config(*parts: bytes) -> bytes:
    return made("transformers.models.llama.configuration_llama.LlamaConfig", table(*parts))


def model(parameters: bytes, *more: bytes, modules: bytes = b"}", told: bytes = config()) -> bytes:
    parts = (text("_parameters"), parameters, text("_modules"), modules, text("config"), told)
    return made("transformers.models.llama.modeling_llama.LlamaForCausalLM", table(*parts, *more))


def saved(program: bytes, directory: Path) -> Path:
    path = directory / "pytorch_model.bin"
    writer = torch._C.PyTorchFileWriter(str(path))
    records = {"data.pkl": b"\x80\x02" + program + b".", "data/0": struct.pack("<4f", 1, 2, 3, 4)}
    for record, content in records.items():
        writer.write_record(record, content, len(content))
    writer.write_end_of_file()
    return path


WEIGHT = table(text("w"), tensor())
MESH = call("torch.distributed.device_mesh.DeviceMesh", text("cpu"), b"](" + number(0) + b"e")
HIDDEN = made("torch.nn.Linear", table(text("__setstate__"), name("torch.nn.Linear"))) + b"}b"


@pytest.mark.parametrize("more", [(text("x"), MESH), (text("x"), HIDDEN)], ids=["mesh", "state"])
def test_a_call_that_torch_allows_is_not_made_either(more: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    before = set(map(str, torch.serialization.get_safe_globals()))
    unpickle(saved(model(WEIGHT, *more), tmp_path), tmp_path / "out")
    assert not torch.distributed.is_initialized()
    assert set(map(str, torch.serialization.get_safe_globals())) == before
    assert (tmp_path / "out" / "model.safetensors").exists()


def weight(**changed: Any) -> bytes:
    return model(table(text("w"), tensor(**changed)))


META = call("torch._utils._rebuild_meta_tensor_no_storage", name("torch.float32"), b")", b")")
LONG = text("x" * 1000)
DEEP = b"]" * 5000 + b"a" * 4999
MALFORMED = {
    "NUL in a name": name("evil\0.name"),
    "a letter beyond ASCII": "ctorch\n\u00e9\n".encode(),
    "a module in itself": model(WEIGHT, modules=table(text("a"), b"h\x01")).replace(
        b")\x81", b")\x81q\x01", 1
    ),
    "a number for a name": model(table(number(3), tensor())),
    "parameters are a tensor": model(tensor()),
    "parameters are a list": model(b"]"),
    "a config in itself": model(WEIGHT, told=config(text("a"), b"]q\x02h\x02a")),
    "a deep config": model(WEIGHT, told=config(text("a"), DEEP)),
    "a deep key": b"}" + b")" + b"\x85" * 9 + b"Ns",
    "two on one storage": model(table(text("a"), tensor(), text("b"), tensor())),
    "no storage": model(table(text("a"), META)),
    "allocated only": model(table(text("a"), call("torch.FloatTensor", number(2**31 - 1)))),
    "one number for many": weight(size=(2**31 - 1, 1000), stride=(0, 0)),
    "negative stride": weight(stride=(-1, 1)),
    "beyond its record": weight(at=1),
    "before its record": weight(at=-1),
    "another record": weight(key=text("../../etc/passwd")),
    "whole numbers": weight(kind="LongStorage"),
    "a text encoded often": b"]"
    + LONG
    + b"q\x02a"
    + (name("_codecs.encode") + b"h\x02" + text("latin1") + b"\x86Ra") * 50,
    "a text often in a config": model(
        WEIGHT, told=config(text("a"), b"](" + LONG + b"q\x02" + b"h\x02" * 1000 + b"e")
    ),
    "a key that is a call": model(WEIGHT, told=config(text("a"), table(MESH, b"N"))),
    "a key that is a tuple": table(row(number(1), number(2)), b"N"),
    "a key that is long": table(b"\x8a\x09" + (2**61 - 1).to_bytes(9, "little"), b"N"),
    "a name of a lone surrogate": model(table(b"X\x03\0\0\0\xed\xa0\x80", tensor())),
    "a name with a point": model(table(text("a.w"), tensor())),
    "a name without end": model(table(LONG, tensor())),
    "tied to nothing": model(
        WEIGHT,
        modules=table(
            text("lm_head"),
            made("torch.nn.Linear", table(text("_parameters"), table(text("weight"), tensor()))),
        ),
        told=config(text("tie_word_embeddings"), b"\x88"),
    ),
    "a negated tensor": model(
        table(text("w"), tensor()[:-2] + table(text("neg"), b"\x88") + b"tR")
    ),
    "an empty stack": b"RRR",
    "an extension": b"\x82\x01",
    "the call of a value": text("a") + b")R",
}


@pytest.mark.parametrize("program", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_file_is_refused_as_one(program: bytes, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(InvalidContainer, match="as data"):
        unpickle(saved(program, tmp_path), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_file_of_the_old_format_is_named(tmp_path: Path) -> None:
    old = tmp_path / "pytorch_model.bin"
    torch.save({}, old, _use_new_zipfile_serialization=False)
    with pytest.raises(InvalidContainer, match="old format") as caught:
        unpickle(old, tmp_path)
    assert "save it again" in caught.value.hint


@pytest.mark.parametrize("dotted", ["torch.os.system", "posix.system", "__builtin__.getattr"])
def test_the_alarm_is_for_what_runs_code(dotted: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidContainer, match="no model needs"):
        unpickle(saved(call(dotted), tmp_path), tmp_path)


def test_where_there_is_no_place_it_and_the_space_are_named(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    saved(model(WEIGHT), tmp_path / "source")
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="could not be written") as caught:
        adopt(tmp_path / "source", tmp_path / "file" / "c", trust_pickle=True)
    assert "are free" in caught.value.hint
