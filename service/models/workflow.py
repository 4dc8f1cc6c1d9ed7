"""Registering models: the fingerprint is the identity, the path only where it lies now."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType

from sqlalchemy.orm import Session

from rankspace import LayerProfile, Matrix, PrunedModel
from rankspace.errors import InvalidInput
from service.access.keys import random_text
from service.models.repository import Models
from service.storage.documents import model_of, write
from service.storage.scope import DEFAULT_PROJECT
from service.storage.tables import ModelRow

MAX_WIDTH = 2**31
MAX_PATH = 4096
MAX_NAME = 512
ROUNDING = 1e-3
"""What shares of one whole may exceed it by: they are sums of float32, told to six figures."""

LONGEST: Mapping[str, int] = MappingProxyType({"fingerprint": 128, "architecture": 100})


@dataclass(frozen=True, slots=True)
class ModelView:
    """A registered model and its identity."""

    id: str
    project: str
    model: PrunedModel


def register(
    session: Session, model: PrunedModel, project: str = DEFAULT_PROJECT
) -> tuple[ModelView, bool]:
    """Store ``model``; the project's one with its fingerprint keeps its identity, the path is new.

    Args:
        session: One that writes.
        model: One that ``check`` has passed.
        project: Whose it is.

    Returns:
        The model, and whether it is new.
    """
    models = Models(session)
    row = models.by_fingerprint(project, model.fingerprint)
    if row is not None:
        row.path, row.document = model.path, write(model)
        return ModelView(row.id, project, model), False
    row = ModelRow(id=f"md_{random_text(10)}", project=project, fingerprint=model.fingerprint)
    row.path, row.document = model.path, write(model)
    models.add(row)
    return ModelView(row.id, project, model), True


def view(row: ModelRow) -> ModelView:
    return ModelView(row.id, row.project, model_of(row.document))


def check(model: PrunedModel) -> None:
    """Refuse what no study could use; before the transaction, for it may be long.

    Raises:
        InvalidInput: The field, with what to do.
    """
    _check_texts(model)
    _check_path(model.path)
    if model.parameters < 0:
        raise InvalidInput("parameters", model.parameters, "is negative", fix="count the weights")
    if not model.matrices:
        raise InvalidInput("matrices", [], "is empty", fix="describe the model's linear weights")
    names: set[str] = set()
    for index, matrix in enumerate(model.matrices):
        _check_matrix(f"matrices[{index}]", matrix)
        if matrix.name in names:
            fix = "describe each matrix once"
            raise InvalidInput(f"matrices[{index}].name", matrix.name, "comes twice", fix=fix)
        names.add(matrix.name)
    for index, profile in enumerate(model.profiles):
        _check_name(f"profiles[{index}].name", profile.name)
        _check_explained(f"profiles[{index}].explained", profile)


def _check_texts(model: PrunedModel) -> None:
    for name in ("path", "fingerprint"):
        if not getattr(model, name).strip():
            raise InvalidInput(name, getattr(model, name), "is empty", fix="describe the model")
    for name, most in LONGEST.items():
        if len(getattr(model, name)) > most:
            fix = f"give at most {most} characters, as rankadaptor submit does"
            raise InvalidInput(name, getattr(model, name), "is too long", fix=fix)


def _check_path(path: str) -> None:
    """Workers open it as it is written, so it must mean what it looks like."""
    if not PurePosixPath(path).is_absolute():
        raise InvalidInput("path", path, "is not absolute", fix="start it with /")
    if path.startswith("//") or ".." in PurePosixPath(path).parts:
        raise InvalidInput("path", path, "leads elsewhere than it says", fix="write it out")
    if len(path) > MAX_PATH or not path.isprintable():
        raise InvalidInput("path", path, "is no usable path", fix="rename the directory")


def _check_name(field: str, name: str) -> None:
    """Names are shown, sorted and compared: none is longer than a module path can be."""
    if len(name) > MAX_NAME:
        fix = f"at most {MAX_NAME} characters, as the model's own modules are named"
        raise InvalidInput(field, name, "is too long", fix=fix)


def _check_matrix(field: str, matrix: Matrix) -> None:
    _check_name(f"{field}.name", matrix.name)
    _check_name(f"{field}.module", matrix.module)
    shape = [matrix.d_in, matrix.d_out]
    if min(shape) < 1:
        fix = "leave out matrices that were pruned away"
        raise InvalidInput(field, shape, "has no weights", fix=fix)
    if max(shape) > MAX_WIDTH:
        raise InvalidInput(field, shape, "is too large", fix=f"at most {MAX_WIDTH} on a side")
    if not 0 <= matrix.factor_rank <= min(shape):
        fix = f"0 for a whole matrix, at most {min(shape)}"
        raise InvalidInput(f"{field}.factor_rank", matrix.factor_rank, "cannot be", fix=fix)
    if matrix.block < 0:
        raise InvalidInput(f"{field}.block", matrix.block, "is negative", fix="count from 0")


def _check_explained(field: str, profile: LayerProfile) -> None:
    """Ranks are given in the order of these shares, and a study runs for hours with them."""
    fix = "profile the model anew: rankadaptor profile"
    before = 1.0
    for index, share in enumerate(profile.explained):
        if not 0.0 <= share <= 1.0:
            raise InvalidInput(f"{field}[{index}]", share, "is no share, of 0 to 1", fix=fix)
        if share > before:
            problem = f"is more than the one before, {before:g}"
            raise InvalidInput(f"{field}[{index}]", share, problem, fix=fix)
        before = share
    if sum(profile.explained) > 1.0 + ROUNDING:
        problem = "are more than the whole variance"
        raise InvalidInput(field, sum(profile.explained), problem, fix=fix)
