"""A study as a YAML file: strict reading, with paths relative to the file."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from rankadaptor.strict_yaml import UnreadableYaml, read_yaml
from rankspace.errors import InvalidInput, UnreadableInput
from rankspace.evaluation.recovery_metric import field_of
from rankspace.presets.paper import check_given
from rankspace.study import PRIORS, Recover, Search, Study
from rankspace.wire import decode, encode
from tuning.reading.hub import check_cached, is_address

MAX_BYTES = 256 * 1024
_MODEL, _TRAIN, _PRIOR = "model", "recipe.data.train", "search.prior"


def read_study(file: Path) -> Study:
    """Read and check ``file``; paths of the model, data, metrics and a prior become absolute.

    Links in them stay: where they lead is each machine's own affair.

    Raises:
        UnreadableInput: Not a readable UTF-8 YAML document.
        InvalidInput: A field is wrong; names it, its value and the fix.
    """
    document = _document(file)
    check_given(document)
    study = decode(Study, document)
    base = _home_of(file)
    data = replace(study.recipe.data, train=_data(base, study.recipe.data.train, _TRAIN))
    return replace(
        study,
        model=_existing(base, study.model, _MODEL),
        recipe=replace(study.recipe, data=data),
        search=_with_prior(base, study.search),
        recover=_with_metrics(base, study.recover),
    )


def write_study(study: Study, file: Path) -> None:
    """Write ``study`` as a file that ``read_study`` reads.

    Raises:
        InvalidInput: The file is there already, or cannot be written.
    """
    text = yaml.safe_dump(encode(study), sort_keys=False, allow_unicode=True)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        problem, fix = f"cannot be written: {error.strerror}", "choose another name"
        raise InvalidInput("--to", str(file), problem, fix=fix) from error


def absolute(path: Path) -> Path:
    """Return ``path`` as a study file of anywhere says it; links in it stay.

    Raises:
        InvalidInput: It begins with the name of nobody's home.
    """
    try:
        return _absolute(_working_directory(), path.expanduser())
    except RuntimeError as error:  # an unknown ~user
        raise InvalidInput("path", str(path), str(error), fix="give a plain path") from error


def _home_of(file: Path) -> Path:
    """Where the file lies, the links on the way there left alone, but for one that is the file."""
    place = _absolute(_working_directory(), file)
    while place.is_symlink():
        place = _absolute(place.parent, place.readlink())
    return place.parent


def _with_prior(base: Path, search: Search) -> Search:
    prior = search.prior
    if not isinstance(prior, str) or prior in PRIORS:
        return search
    return replace(search, prior=_existing(base, prior, _PRIOR))


def _with_metrics(base: Path, recover: Recover) -> Recover:
    found = (
        metric.at(_data(base, metric.path, field_of(index, metric)))
        for index, metric in enumerate(recover.metrics)
    )
    return replace(recover, metrics=tuple(found))


def _data(base: Path, path: str, field: str) -> str:
    """A file's absolute path; an address on the hub stays one, once the file is in the cache."""
    if is_address(path):
        check_cached(field, path)
        return path
    return _existing(base, path, field)


def _existing(base: Path, path: str, field: str) -> str:
    try:
        if "\0" in path:
            raise ValueError("has a null character")
        full = _absolute(base, Path(path).expanduser())
        is_there = full.is_dir() if field == _MODEL else full.is_file()
    except OSError as error:
        problem = f"cannot be looked at: {error.strerror}"
        raise InvalidInput(field, path, problem, fix="give a path that you may read") from error
    except (ValueError, RuntimeError) as error:  # a NUL character, an unknown ~user
        raise InvalidInput(field, path, str(error), fix="give a plain path") from error
    if not is_there:
        kind = "directory" if field == _MODEL else "file"
        known = f"; or use {' or '.join(PRIORS)}" if field == _PRIOR else ""
        raise InvalidInput(
            field,
            path,
            f"there is no such {kind} ({full})",
            fix=f"paths are relative to the study file{known}",
        )
    return str(full)


def _absolute(base: Path, path: Path) -> Path:
    """Join both without following links; ``..`` is taken out where that leads to the same place."""
    joined = base / path
    plain = Path(os.path.normpath(joined))
    if ".." not in joined.parts or _is_same(plain, joined):
        return plain
    return joined.resolve()  # it steps back from where a link leads to


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _working_directory() -> Path:
    """As the shell names it, which a link may have led to."""
    here, named = Path.cwd(), Path(os.environ.get("PWD", ""))
    return named if named.is_absolute() and _is_same(named, here) else here


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
