"""Finding a model's weight files, and the headers of all their tensors."""

from collections.abc import Mapping
from pathlib import Path

from pruning.container.document import read_document
from pruning.container.header import TensorHeader, read_header
from pruning.container.recognition import refuse_known
from rankspace.errors import InvalidContainer

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


def locate(directory: Path, name: str) -> Path:
    """Return the file ``name`` of ``directory``.

    A link may lead elsewhere inside the directory, or into the blob store of a Hugging Face
    cache the directory is a snapshot of; nowhere else.

    Raises:
        InvalidContainer: No such regular file, or a link that leads outside.
    """
    path = directory / name
    real = path.resolve()
    if Path(name).name != name or not any(real.is_relative_to(r) for r in _roots(directory)):
        raise InvalidContainer(
            name, str(real), "leads outside the model's directory", fix="copy the file into it"
        )
    if not path.is_file():
        raise InvalidContainer(
            name,
            None,
            f"there is no such file in {directory}",
            fix="give a directory with config.json, model.safetensors and tokenizer.json",
        )
    return path


def weight_files(directory: Path) -> tuple[Path, ...]:
    """Return the safetensors files that hold the weights, in the order of their names.

    Raises:
        InvalidContainer: There is none, or only pickles, or a shard is missing.
    """
    if (directory / SINGLE).exists():
        return (locate(directory, SINGLE),)
    if (directory / INDEX).exists():
        return tuple(locate(directory, name) for name in sorted(set(_index(directory).values())))
    shards = sorted(directory.glob("model*.safetensors"))
    if not shards:
        refuse_known(directory)
        locate(directory, SINGLE)
    return tuple(locate(directory, shard.name) for shard in shards)


def read_headers(files: tuple[Path, ...]) -> Mapping[str, TensorHeader]:
    """Read the headers of all tensors by name.

    Raises:
        InvalidContainer: A damaged file, or one tensor in two files.
    """
    tensors: dict[str, TensorHeader] = {}
    for path in files:
        header = read_header(path)
        for name in header.keys() & tensors.keys():
            raise InvalidContainer(
                f"{path.name}: {name}", name, "is in two files", fix="remove the superfluous shard"
            )
        tensors |= header
    return tensors


def _roots(directory: Path) -> tuple[Path, ...]:
    real = directory.resolve()
    cache = (real.parent.parent / "blobs",) if real.parent.name == "snapshots" else ()
    return (real, *cache)


def _index(directory: Path) -> dict[str, str]:
    weight_map = read_document(locate(directory, INDEX)).get("weight_map")
    if not isinstance(weight_map, dict) or not all(
        isinstance(name, str) and name.endswith(".safetensors") for name in weight_map.values()
    ):
        raise InvalidContainer(
            f"{INDEX}.weight_map",
            weight_map,
            "must give each tensor the name of its safetensors file",
            fix="save the model anew with save_pretrained",
        )
    return weight_map
