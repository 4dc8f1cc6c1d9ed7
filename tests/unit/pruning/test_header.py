import json
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from pruning.container.document import MAX_BYTES
from pruning.container.header import read_header
from rankspace.errors import InvalidContainer


def put(path: Path, header: object, data: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def tensor(begin: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_shapes_and_types_are_those_that_were_saved(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(4, dtype=torch.bfloat16)}, path)
    found = {name: (header.dtype, header.shape) for name, header in read_header(path).items()}
    assert found == {"a": ("F32", (2, 3)), "b": ("BF16", (4,))}


@pytest.mark.parametrize(
    ("header", "data", "problem"),
    [
        (b'{"a": 1, "a": 2}', b"", "'a' twice"),
        (b"[]", b"", "not a JSON object"),
        (b"{", b"", "not JSON"),
        (b"[" * 100_000, b"", "not JSON"),
        ({"a": tensor(0, 8, [3])}, bytes(8), "needs 12 bytes"),
        ({"a": tensor(0, 4, [1], "I64")}, bytes(4), "element type"),
        ({"a": tensor(4, 8, [1])}, bytes(8), "should begin at byte 0"),
        ({"a": tensor(0, 8, [2]), "b": tensor(4, 8, [1])}, bytes(8), "should begin at byte 8"),
        ({"a": tensor(0, 4, [1])}, bytes(8), "promises 4"),
        ({"a": tensor(0, 8, [2])}, bytes(4), "promises 8"),
        ({"a": tensor(0, 4, [-1])}, bytes(4), "needs dtype, shape"),
        ({"a": tensor(-4, 0, [1])}, bytes(4), "should begin"),
        ({"a": tensor(0, 4, [1] * 9)}, bytes(4), "at most 8 sides"),
        ({"a": tensor(0, 4, [2**48])}, bytes(4), "at most 8 sides"),
        ({"a": {"dtype": "F32"}}, b"", "needs dtype, shape"),
    ],
)
def test_a_damaged_header_is_refused(
    tmp_path: Path, header: object, data: bytes, problem: str
) -> None:
    path = put(tmp_path / "x.safetensors", header, data)
    with pytest.raises(InvalidContainer, match=problem):
        read_header(path)


def test_a_repeated_key_is_found_quickly_among_many(tmp_path: Path) -> None:
    entries = ",".join(f'"{i}": 1' for i in [*range(100_000), 7])
    with pytest.raises(InvalidContainer, match="'7' twice"):
        read_header(put(tmp_path / "x.safetensors", f"{{{entries}}}".encode(), b""))


@pytest.mark.parametrize("length", [MAX_BYTES + 1, 2**64 - 1, 9])
def test_a_header_longer_than_the_file_or_the_cap_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b"{}")
    with pytest.raises(InvalidContainer, match="header of"):
        read_header(path)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(content)
    with suppress(InvalidContainer):
        assert not read_header(path)  # nothing but an empty header fits into so few bytes
