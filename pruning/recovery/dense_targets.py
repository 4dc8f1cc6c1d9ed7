"""DenseTargets: what matrices of the dense model wrote, so that it need not stay in memory."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from pruning.container.assembly import blocks_of, kinds_of, matrix_of
from pruning.container.container import LoadedModel
from pruning.profiling.dense_outputs import check_room, keep
from pruning.statistics.hidden_states import HiddenStates

KINDS = ("o_proj", "down_proj")
"""The matrices whose input features pruning removes."""


@dataclass(frozen=True, slots=True)
class DenseTargets:
    """Of one dense model on some windows.

    Attributes:
        fingerprint: Of the model.
        files: One per block: by kind, what the matrix wrote, ``(samples, length, hidden)``.
    """

    fingerprint: str
    files: tuple[Path, ...]

    def of(self, block: int, kind: str) -> torch.Tensor:
        """Read what ``kind`` of ``block`` wrote, ``(samples, length, hidden)``."""
        with safe_open(self.files[block], framework="pt") as file:
            found: torch.Tensor = file.get_tensor(kind)
        return found


def target_bytes(blocks: int, tokens: int, hidden: int, number_bytes: int) -> int:
    """Return what the files of all blocks take."""
    return blocks * len(KINDS) * tokens * hidden * number_bytes


@contextmanager
def dense_targets(
    load: Callable[[], LoadedModel], windows: torch.Tensor, step: Callable[[], None]
) -> Iterator[DenseTargets]:
    """Run ``windows``, ``(samples, length)``, through the model of ``load``; keep it no longer.

    The files, of the model's own type, lie in a directory of ``tempfile``, gone with the block.
    ``step`` is called after each decoder block.

    Raises:
        InvalidInput: There is no room for them.
    """
    with tempfile.TemporaryDirectory(prefix="rankadaptor.dense.") as folder:
        yield _record(load(), windows, Path(folder), step)


def _record(
    dense: LoadedModel, windows: torch.Tensor, folder: Path, step: Callable[[], None]
) -> DenseTargets:
    model = dense.model
    blocks, hidden = blocks_of(model), int(model.config.hidden_size)
    check_room(target_bytes(len(blocks), windows.numel(), hidden, model.dtype.itemsize), folder)
    states, files = HiddenStates(model, windows), []
    for index, block in enumerate(blocks):
        with _written(block) as written:
            states.move(states.through(index))
        files.append(folder / f"{index}.safetensors")
        keep({kind: torch.cat(parts) for kind, parts in written.items()}, files[-1], "block")
        step()
    return DenseTargets(dense.description.fingerprint, tuple(files))


@contextmanager
def _written(block: nn.Module) -> Iterator[dict[str, list[torch.Tensor]]]:
    """Collect on the host what the matrices write meanwhile, by kind, parts in their order."""
    written: dict[str, list[torch.Tensor]] = {k: [] for k in kinds_of(block) if k in KINDS}

    def teller(parts: list[torch.Tensor]) -> Callable[..., None]:
        def tell(_module: nn.Module, _arguments: Any, output: torch.Tensor) -> None:
            parts.append(output.cpu())

        return tell

    handles = [
        matrix_of(block, kind).register_forward_hook(teller(parts))
        for kind, parts in written.items()
    ]
    try:
        yield written
    finally:
        for handle in handles:
            handle.remove()
