"""The loss of a frozen head over a large vocabulary: its logits in slices, beside all at once.

    python -m bench.trials.head [--rows N] [--hidden N] [--vocabulary N] [--turns N]
        [--dtype float32|bfloat16] [--device cpu|cuda]

Forward and backward pass of ``tuning.losses.summed_loss`` from given hidden states on; all at once
it is autograd's, of a head that is trained but for its gradient. The ways take turns; on a CPU
seconds are the process's own, of one thread. Memory is beyond what was there before the pass; with
MALLOC_MMAP_THRESHOLD_=65536 in the environment without the holes of glibc's heap. The last line is
for a machine: seconds and memory of slices as shares of those of all at once, and how far their
gradients are apart, as a share of the largest.
"""

import argparse
import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from types import SimpleNamespace
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import Linear

from bench.trials.process import now, peak, reset, resident
from tuning import losses, memory
from tuning.batches import Batch
from tuning.training import autocast

WHOLE = "all at once"
CHOSEN = f"slices of {losses.MOST_TRAINED / 2**20:.0f} Mi logits"


@dataclass(frozen=True, slots=True)
class _Pass:
    seconds: float
    peak_bytes: int


class _States:
    """A model that is nothing but a head: its decoder hands out the states it was given."""

    def __init__(self, rows: int, head: Linear) -> None:
        kind, device = head.weight.dtype, head.weight.device
        self.states = torch.randn(1, rows, head.in_features, dtype=kind, device=device)
        self.states.requires_grad_(True)
        self.config = SimpleNamespace(vocab_size=head.out_features)
        self._head = head

    def get_decoder(self) -> Callable[..., Any]:
        return lambda **_: SimpleNamespace(last_hidden_state=self.states)

    def get_output_embeddings(self) -> Linear:
        return self._head


@contextmanager
def _sliced(most: int) -> Iterator[None]:
    before, losses.MOST_TRAINED = losses.MOST_TRAINED, most
    try:
        yield
    finally:
        losses.MOST_TRAINED = before


@contextmanager
def _whole() -> Iterator[None]:
    """No head counts as frozen."""
    before, losses._is_frozen = losses._is_frozen, lambda head: False
    try:
        yield
    finally:
        losses._is_frozen = before


WAYS: Mapping[str, Callable[[], Any]] = {
    WHOLE: _whole,
    **{
        f"slices of {2**power / 2**20:.0f} Mi logits": partial(_sliced, 2**power)
        for power in (22, 23, 24, 25)
    },
}


def _run(model: _States, batch: Batch) -> _Pass:
    device = model.states.device
    model.states.grad = None
    gc.collect()
    memory.release(device)
    before = torch.cuda.memory_allocated() if device.type == "cuda" else resident("VmRSS")
    reset(device)
    began = now(device)
    with autocast(device, model.states.dtype):
        loss = losses.summed_loss(model, batch) / len(batch.targets)
    loss.backward()  # type: ignore[no-untyped-call]
    return _Pass(now(device) - began, peak(device) - before)


def _gradient(model: _States) -> Tensor:
    assert model.states.grad is not None
    return model.states.grad.float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1024, help="predicted tokens")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=128_256)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    head = Linear(asked.hidden, asked.vocabulary, bias=False)
    head = head.to(asked.device, getattr(torch, asked.dtype)).requires_grad_(False)
    model = _States(asked.rows, head)
    targets = torch.randint(asked.vocabulary, (asked.rows,), device=asked.device)
    batch = Batch(torch.zeros(1, asked.rows), None, targets)
    found: dict[str, list[_Pass]] = {way: [] for way in WAYS}
    gradients: dict[str, Tensor] = {}
    for _ in range(1 + asked.turns):
        for way, entered in WAYS.items():
            with entered():
                found[way].append(_run(model, batch))
            gradients[way] = _gradient(model)
    apart = (gradients[CHOSEN] - gradients[WHOLE]).abs().max() / gradients[WHOLE].abs().max()
    shares = _show({way: passes[1:] for way, passes in found.items()})
    seconds, size = shares[CHOSEN]
    print(f"seconds_share={seconds:.2f} memory_share={size:.3f} gradient_difference={apart:.1e}")


def _show(found: Mapping[str, list[_Pass]]) -> dict[str, tuple[float, float]]:
    table = Table(title="Forward and backward pass, medians; shares of each turn's all at once")
    for column in ("way", "seconds", "share", "peak MiB", "share"):
        table.add_column(column, justify="left" if column == "way" else "right")
    shares = {}
    for way, passes in found.items():
        pairs = list(zip(passes, found[WHOLE], strict=True))
        seconds = median(one.seconds / whole.seconds for one, whole in pairs)
        size = median(one.peak_bytes / whole.peak_bytes for one, whole in pairs)
        shares[way] = seconds, size
        table.add_row(
            way,
            f"{median(one.seconds for one in passes):.2f}",
            f"{seconds:.2f}",
            f"{median(one.peak_bytes for one in passes) / 2**20:,.0f}",
            f"{size:.3f}",
        )
    Console(width=120).print(table)
    return shares


if __name__ == "__main__":
    main()
