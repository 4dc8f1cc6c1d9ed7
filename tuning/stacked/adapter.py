"""StackedAdapter: the adapters of several candidates, on one model until they are detached."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import Parameter

from tuning.initialisation import first_matrix
from tuning.lora.files import save_adapter, stored
from tuning.lora.places import plain_linear, put
from tuning.stacked.linear import StackedLinear
from tuning.stacked.masters import StackedMasters


class StackedAdapter:
    """An adapter for each lane. A pass is of some lanes that are still in the run, or of any one.

    A lane lies in a slot. Those that are in the run have the first slots, so that a pass of all of
    them, or of some that come one after the other, copies nothing.

    Args:
        model: A causal language model whose weights require no gradients.
        lanes: Of each lane, full module name to its rank; 0 is as good as no name. Some module of
            some lane has a rank above 0.
        alpha_per_rank: Scale of every adapter, whatever its rank.
        seed: Of the starting values, see ``tuning.initialisation``; those of a lane are what they
            are without the others.

    Raises:
        TrialFailed: A module is not there, or is no plain linear layer; the model is as it was.
    """

    def __init__(
        self,
        model: Any,
        lanes: Sequence[Mapping[str, int]],
        *,
        alpha_per_rank: float,
        seed: int,
    ) -> None:
        self._ranks = [{name: rank for name, rank in lane.items() if rank} for lane in lanes]
        largest = _largest(self._ranks)
        bases = {name: plain_linear(model, name) for name in largest}
        shapes = [(largest[name], one.in_features, one.out_features) for name, one in bases.items()]
        self._model = model
        self._scale = alpha_per_rank
        self._masters = StackedMasters(shapes, len(lanes), model.dtype, model.device)
        self._layers = {name: StackedLinear(base, alpha_per_rank) for name, base in bases.items()}
        self._lanes = list(range(len(lanes)))  # by slot
        self._in_run = len(lanes)
        self._initialise(seed)
        self._slots = slice(0)
        self.compute(slice(0, len(lanes)))
        for name, layer in self._layers.items():
            put(model, name, layer)
        # Before each pass, not each step: nothing says when the parameters were changed.
        decoder = model.get_decoder()
        self._hook = decoder.register_forward_pre_hook(
            lambda *_: self._masters.refresh(self._slots)
        )

    @property
    def parameters(self) -> Sequence[Parameter]:
        """One float32 vector for each lane, padding and all: what an optimiser updates."""
        return self._masters.parameters

    @property
    def in_run(self) -> list[int]:
        """Lanes that are still trained, in the order in which a pass has their rows."""
        return self._lanes[: self._in_run]

    def compute(self, slots: slice) -> None:
        """Let passes be of the lanes in ``slots``, each with as many rows as every other."""
        if slots == self._slots:
            return
        self._slots = slots
        for layer, pair in zip(self._layers.values(), self._masters.pairs(slots), strict=True):
            layer.pair = pair

    def show(self, lane: int) -> None:
        """Be the adapter of ``lane`` and nothing else, whether it is still in the run or not.

        It holds until a lane leaves.
        """
        slot = self._lanes.index(lane)
        self.compute(slice(slot, slot + 1))

    def leave(self, lane: int) -> None:
        """Take ``lane`` out of the run: passes of the others cost nothing for it any more.

        It is left as it is, to be shown, saved and measured.

        Raises:
            ValueError: It has left before.
        """
        slot, last = self._lanes.index(lane, 0, self._in_run), self._in_run - 1
        other = self._lanes[last]
        if lane != other:
            self._masters.swap((lane, other), (slot, last))
            self._lanes[slot], self._lanes[last] = other, lane
        self.parameters[lane].grad = None
        self._in_run = last

    def clip(self, most: float) -> None:
        """Scale the gradient of each lane in the run down to the norm ``most``."""
        self._masters.clip(slice(0, self._in_run), most)

    def forget_gradients(self) -> None:
        self._masters.forget_gradients()

    def matrices(self, lane: int) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Return A ``(r, d_in)`` and B ``(d_out, r)`` of each module that ``lane`` adapts.

        They are its own, of its own ranks: the padding is left out. They hold until a lane leaves.
        """
        found = dict(
            zip(self._layers, self._masters.matrices(self._lanes.index(lane)), strict=True)
        )
        return {
            name: (found[name][0][:rank], found[name][1][:, :rank])
            for name, rank in self._ranks[lane].items()
        }

    def save(self, lane: int, directory: Path) -> None:
        """Write peft's two files of ``lane``; nothing where it has no adapter."""
        ranks, matrices = self._ranks[lane], self.matrices(lane)
        if ranks:
            save_adapter(directory, ranks, self._scale, stored(matrices))

    def detach(self) -> None:
        """Give the model back as it was, bit by bit."""
        for name, layer in self._layers.items():
            put(self._model, name, layer.base)
        self._hook.remove()
        self._layers, self._ranks = {}, [{} for _ in self._ranks]
        self._masters = StackedMasters((), 0, self._model.dtype, self._model.device)

    def _initialise(self, seed: int) -> None:
        starts = {
            name: first_matrix(seed, name, rank, self._layers[name].base.in_features)
            for name, rank in _largest(self._ranks).items()
        }
        for lane in range(len(self._ranks)):
            for name, (down, _) in self.matrices(lane).items():
                down.copy_(starts[name][: len(down)])


def _largest(lanes: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Each module that some lane adapts, and the largest of its ranks."""
    found: dict[str, int] = {}
    for lane in lanes:
        for name, rank in lane.items():
            found[name] = max(rank, found.get(name, 0))
    return found
