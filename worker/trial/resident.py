"""Resident: the base model that stays on the device between trials, and proof that it is intact."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pruning.container.container import load_contents
from pruning.container.contents import survey
from pruning.container.description import shape_of
from pruning.container.tokenizer import tokenizer_hash
from rankspace.errors import CannotOpen, InvalidInput
from rankspace.lease import Assignment
from rankspace.recipe import AUTOMATIC, Data, Recipe
from tuning import memory
from tuning.chat import tokens_hash

_SAMPLES = 256
"""Weights compared per tensor."""


class Resident:
    """One verified model on one device.

    Attributes:
        model: In evaluation mode, nothing in it requires gradients.
        tokenizer: The model's own.
        fingerprint: Of the files it was loaded from.
        tokenizer_hash: Of what the tokenizer makes of a fixed text.
        matrices: Its linear matrices.
        shape: What decides how much memory its training takes.
    """

    def __init__(self, directory: Path, dtype: torch.dtype, device: torch.device) -> None:
        contents = survey(directory)
        loaded = load_contents(contents, dtype=dtype, device=str(device))
        self.model: Any = loaded.model
        self.tokenizer: Any = loaded.tokenizer
        self.tokenizer_hash = tokenizer_hash(loaded.tokenizer)
        self.fingerprint = loaded.description.fingerprint
        self.matrices = loaded.description.matrices
        self.shape = shape_of(contents)
        self._sample = self._sampled()

    @property
    def modules(self) -> tuple[str, ...]:
        """Full names of its linear matrices."""
        return tuple(matrix.name for matrix in self.matrices)

    def tokens_hash(self, data: Data) -> str:
        """Of all of the tokenizer that examples of ``data`` depend on."""
        return tokens_hash(self.tokenizer, self.tokenizer_hash, data.format)

    def changed(self) -> list[str]:
        """Names of base tensors whose sampled weights differ from those loaded; exact."""
        sample = self._sampled()
        if sample.keys() != self._sample.keys():
            return sorted(sample.keys() ^ self._sample.keys())
        return [name for name, now in sample.items() if not torch.equal(now, self._sample[name])]

    def _sampled(self) -> dict[str, Tensor]:
        return {name: _sample(tensor) for name, tensor in self.model.named_parameters()}


@torch.no_grad()
def _sample(tensor: Tensor) -> Tensor:
    stride = max(1, tensor.numel() // _SAMPLES)
    return tensor.flatten()[::stride].clone()


class Residence:
    """Holds the model of the trial at hand; another model takes its place."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._key: tuple[str, str, torch.dtype] | None = None
        self._resident: Resident | None = None

    def resident(self, assignment: Assignment) -> Resident:
        """Load the assignment's model, or return it if it is already here.

        Raises:
            CannotOpen: The directory holds no model that can be used on this device, or another
                one than the study was submitted for.
        """
        dtype = base_dtype(assignment.recipe, self.device)
        key = (assignment.model_fingerprint, assignment.model_path, dtype)
        if self._resident is None or key != self._key or self._has_other_tokens(assignment):
            self.forget()
            self._resident = self._load(assignment, dtype)
            self._key = key
        return self._resident

    def _has_other_tokens(self, assignment: Assignment) -> bool:
        """Whether the tokenizer was another when the model was loaded: no fingerprint tells."""
        expected = assignment.inputs.tokenizer
        if self._resident is None or expected is None:
            return False
        return expected != self._resident.tokens_hash(assignment.recipe.data)

    @property
    def fingerprint(self) -> str | None:
        """Of the model that is loaded."""
        return self._resident.fingerprint if self._resident else None

    def forget(self) -> None:
        """Free the model, so that the next trial loads it anew."""
        self._resident = self._key = None
        memory.release(self.device)

    def _load(self, assignment: Assignment, dtype: torch.dtype) -> Resident:
        path = assignment.model_path
        try:
            resident = Resident(Path(path), dtype, self.device)
        except Exception as error:
            # Of the trial only its model had a part in this: it would go wrong with any other.
            raise _cannot_open(path, error) from error
        if resident.fingerprint != assignment.model_fingerprint:
            raise CannotOpen(
                "model_path",
                path,
                f"has fingerprint {resident.fingerprint}, the study was submitted for "
                f"{assignment.model_fingerprint}",
                fix="put the submitted model back, or register this one as a new study's model",
            )
        return resident


def _cannot_open(path: str, error: Exception) -> CannotOpen:
    """Say what is wrong without the values, which may come out of the files."""
    if isinstance(error, InvalidInput):
        problem = f"cannot be used: {error.field}: {error.problem}"
        return CannotOpen("model_path", path, problem, fix=error.hint)
    told = str(error) if memory.is_exhausted(error) else getattr(error, "strerror", None)
    said = f"{type(error).__name__}: {told}" if told else type(error).__name__
    fix = "run the worker where there is room for it and the file can be read; its log says more"
    return CannotOpen("model_path", path, f"cannot be loaded: {said}", fix=fix)


def base_dtype(recipe: Recipe, device: torch.device) -> torch.dtype:
    """Return the type of the base weights; a service of before leaves ``auto`` to the device."""
    name = AUTOMATIC[device.type] if recipe.dtype == "auto" else recipe.dtype
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]
