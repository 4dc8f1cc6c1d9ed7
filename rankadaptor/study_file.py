"""A study as a YAML file: strict reading, with paths relative to the file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rankadaptor.strict_yaml import UnreadableYaml, read_yaml
from rankspace.errors import InvalidInput, UnreadableInput
from rankspace.study import Study
from rankspace.wire import decode

MAX_BYTES = 256 * 1024


def read_study(file: Path) -> Study:
    """Read and check ``file``; ``model`` and ``recipe.data.train`` become absolute paths.

    Raises:
        UnreadableInput: Not a readable UTF-8 YAML document.
        InvalidInput: A field is wrong; names it, its value and the fix.
    """
    study = decode(Study, _document(file))
    base = file.resolve().parent
    data = replace(study.recipe.data, train=str(_existing(base, study.recipe.data.train, False)))
    recipe = replace(study.recipe, data=data)
    return replace(study, model=str(_existing(base, study.model, True)), recipe=recipe)


def _existing(base: Path, path: str, directory: bool) -> Path:
    field, kind = ("model", "directory") if directory else ("recipe.data.train", "file")
    try:
        full = (base / Path(path).expanduser()).resolve()
    except (ValueError, RuntimeError) as error:  # a NUL character, an unknown ~user
        raise InvalidInput(field, path, str(error), fix="give a plain path") from error
    if not (full.is_dir() if directory else full.is_file()):
        raise InvalidInput(
            field,
            path,
            f"there is no such {kind} ({full})",
            fix="paths are relative to the study file",
        )
    return full


def _document(file: Path) -> Any:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UnreadableInput("FILE", str(file), "is too large for a study", fix="split it")
        return read_yaml(content.decode())
    except OSError as error:
        raise UnreadableInput(
            "FILE", str(file), str(error.strerror), fix="give a YAML file"
        ) from error
    except UnicodeDecodeError as error:
        raise UnreadableInput(
            "FILE", str(file), "is not UTF-8 text", fix="save as UTF-8"
        ) from error
    except UnreadableYaml as error:
        raise UnreadableInput("FILE", str(file), str(error), fix="mend the YAML") from error
