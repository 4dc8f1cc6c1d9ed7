"""The whole of it against a training written by hand, and what it makes of a model."""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from transformers import PreTrainedModel

from pruning.container import container
from pruning.container.assembly import blocks_of, matrix_of
from pruning.container.manifest import read_manifest
from pruning.container.structure import MODULES, matrix_name
from pruning.methods.change import Cut, apply
from pruning.methods.compression import compress
from pruning.methods.loraprune import method as room
from pruning.methods.loraprune.average import MovingAverage
from pruning.methods.loraprune.masks import Masks
from pruning.methods.loraprune.method import LoraPrune
from pruning.methods.plan import Plan, TrainingSettings
from pruning.methods.settings import PrunerName, PruningSettings
from pruning.profiling.calibration_text import CalibrationText
from rankspace.errors import InvalidInput, TrialFailed
from tests.unit.pruning.methods.loraprune.conftest import WINDOWS
from tuning.back_ends import ADAPTER_BACK_ENDS
from tuning.batches import schedule
from tuning.examples import windows as as_examples
from tuning.initialisation import first_matrix

STEPS = 20
TRAINING = TrainingSettings(epochs=10, batch=4, learning_rate=1e-2, rank=2, alpha=3.0, every=3)
PLAN = Plan({0: 0.5, 1: 0.25}, seed=5, training=TRAINING)
HEADS = ("q_proj", "k_proj", "v_proj", "o_proj")


class ByHand:
    """Merged weights, plain autograd, plain AdamW; a mask is a weight of zero rows."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.keys = [(index, kind) for index in (0, 1) for kind in MODULES]
        self.base = {k: self._matrix(*k).weight.detach().clone() for k in self.keys}
        self.down = {k: Parameter(self._first(*k)) for k in self.keys}
        self.up = {k: Parameter(torch.zeros(len(self.base[k]), 2)) for k in self.keys}
        self.heads = {index: torch.ones(4) for index in (0, 1)}
        self.channels = {index: torch.ones(24) for index in (0, 1)}
        self.average: dict[tuple[int, str], Tensor] = {}

    def _matrix(self, index: int, kind: str) -> Any:
        return matrix_of(blocks_of(self.model)[index], kind)

    def _first(self, index: int, kind: str) -> Tensor:
        return first_matrix(5, matrix_name(index, kind), 2, self.base[index, kind].shape[1])

    def merged(self, index: int, kind: str) -> Tensor:
        key = index, kind
        found: Tensor = self.base[key] + 1.5 * self.up[key] @ self.down[key]
        return found

    def masked(self, index: int, kind: str) -> Tensor:
        rows = {
            "q_proj": self.heads[index].repeat_interleave(8),
            "k_proj": self.heads[index].repeat_interleave(4),
            "v_proj": self.heads[index].repeat_interleave(4),
            "gate_proj": self.channels[index],
            "up_proj": self.channels[index],
        }.get(kind)
        merged = self.merged(index, kind)
        return merged if rows is None else merged * rows[:, None]

    def loss(self, tokens: Tensor) -> Tensor:
        weights = {f"{matrix_name(*k)}.weight": self.masked(*k) for k in self.keys}
        called: Callable[..., Any] = torch.func.functional_call
        found: Tensor = called(
            self.model, weights, (), {"input_ids": tokens, "labels": tokens}
        ).loss
        return found

    def look(self) -> None:
        for index in (0, 1):
            for name, kinds in (("heads", HEADS), ("channels", MODULES[4:])):
                total = sum(self._normed(index, kind) for kind in kinds)
                assert isinstance(total, Tensor)
                old = self.average.get((index, name), torch.zeros_like(total))
                self.average[index, name] = 0.9 * old + 0.1 * total

    @torch.no_grad()
    def _normed(self, index: int, kind: str) -> Tensor:
        up, down = self.up[index, kind], self.down[index, kind]
        assert up.grad is not None
        assert down.grad is not None
        moved = up @ down - (up - up.grad) @ (down - down.grad)
        scores = (moved * self.merged(index, kind)).abs()
        features = scores.sum(0) if kind in ("o_proj", "down_proj") else scores.sum(1)
        groups = features.reshape(4, -1).sum(1) if kind in HEADS else features
        normed: Tensor = groups / groups.norm()
        return normed

    def mask(self, share: float) -> None:
        """As much as the schedule says of what is to go, and in the end all of it."""
        for index, rate in PLAN.rates.items():
            for name, stays in (("heads", self.heads[index]), ("channels", self.channels[index])):
                order = (self.average[index, name] - 1e9 * (stays == 0)).argsort()
                stays[order[: math.floor(rate * share * len(stays))]] = 0.0

    def train(self) -> list[float]:
        parameters = [*self.down.values(), *self.up.values()]
        adamw = torch.optim.AdamW(parameters, weight_decay=0.0)
        losses = []
        batches = schedule(as_examples(WINDOWS.flatten().tolist(), 12), 4, STEPS, 5)
        for step, examples in enumerate(batches):
            loss = self.loss(torch.stack([example.tokens.long() for example in examples]))
            torch.autograd.backward([loss])
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            self.look()
            if step in (3, 6, 9, 12, 15):
                self.mask(1 - (1 - (step - 2) / 16) ** 3)
            if step == 18:
                self.mask(1.0)
            adamw.param_groups[0]["lr"] = 1e-2 * (STEPS - step) / STEPS
            adamw.step()
            adamw.zero_grad()
            losses.append(float(loss.detach()))
        return losses


@pytest.mark.parametrize("back_end", ADAPTER_BACK_ENDS)
def test_it_is_the_training_written_by_hand(model: PreTrainedModel, back_end: str) -> None:
    slow = ByHand(copy.deepcopy(model))
    losses = slow.train()
    found = LoraPrune(ADAPTER_BACK_ENDS[back_end])(model, PLAN, WINDOWS)
    for index, kept in found.kept.items():
        assert kept.kv_heads == tuple(slow.heads[index].nonzero().flatten().tolist())
        assert kept.channels == tuple(slow.channels[index].nonzero().flatten().tolist())
    assert [(len(k.kv_heads), len(k.channels)) for k in found.kept.values()] == [(2, 12), (3, 18)]
    assert found.learned is not None
    for key, (down, up) in found.learned.products.items():
        torch.testing.assert_close(up @ down, slow.up[key] @ slow.down[key], rtol=1e-2, atol=1e-4)
    account = found.learned.account
    assert account["steps"] == STEPS
    assert account["tokens"] == STEPS * 4 * 12
    assert account["first_loss"] == pytest.approx(losses[0], rel=1e-5)
    assert account["final_loss"] == pytest.approx(sum(losses[-2:]) / 2, rel=1e-4)
    assert account["steps_without_scores"] == 0


@torch.no_grad()
def test_the_sliced_model_is_the_masked_one_with_its_adapter_merged(
    model: PreTrainedModel,
) -> None:
    """Logits to 1e-4, in float32."""
    cut = LoraPrune()(model, PLAN, WINDOWS)
    assert cut.learned is not None
    masked, sliced = copy.deepcopy(model), copy.deepcopy(model)
    for (index, kind), (down, up) in cut.learned.products.items():
        matrix_of(blocks_of(masked)[index], kind).weight.add_(1.5 * up @ down)
    masks = Masks(masked, PLAN.blocks)
    for index, kept in cut.kept.items():
        heads, channels = torch.zeros(4, dtype=torch.bool), torch.zeros(24, dtype=torch.bool)
        heads[list(kept.kv_heads)] = True
        channels[list(kept.channels)] = True
        masks.set(index, heads, channels)
    with masks.put_on():
        expected = masked(input_ids=WINDOWS).logits
    apply(sliced, cut)
    found = sliced(input_ids=WINDOWS).logits
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    apply(model, Cut(cut.kept))
    assert not torch.allclose(model(input_ids=WINDOWS).logits, expected, atol=1e-2)


def test_the_adapter_is_beside_every_matrix_of_every_block(llama: PreTrainedModel) -> None:
    """Also of blocks that are not cut, as in the source."""
    cut = LoraPrune()(llama, Plan({1: 0.5}, training=TRAINING), WINDOWS)
    assert cut.learned is not None
    assert set(cut.learned.products) == {(i, kind) for i in (0, 1, 2) for kind in MODULES}
    assert all(bool(up.any()) for _, up in cut.learned.products.values())
    assert set(cut.kept) == {1}


def test_a_container_holds_what_was_learned_and_says_how(
    plain: Path, text: Path, tmp_path: Path
) -> None:
    settings = PruningSettings((0, 1), 0.5, PrunerName.LORAPRUNE, seed=7, training=TRAINING)
    compress(plain, tmp_path / "c", settings, CalibrationText(text, 8, 32))
    loaded = container.load(tmp_path / "c")
    assert [(b.kv_heads, b.ffn) for b in loaded.structure.blocks] == [(2, 12), (2, 12), (4, 24)]
    untouched = matrix_of(blocks_of(container.load(plain).model)[2], "up_proj").weight
    assert not torch.equal(matrix_of(blocks_of(loaded.model)[2], "up_proj").weight, untouched)
    provenance = read_manifest(tmp_path / "c" / "pruned.json").provenance
    assert (provenance["blocks"], provenance["seed"]) == ([0, 1], 7)
    assert len(provenance["calibration"]["tokens_sha256"]) == 64
    training = provenance["training"]
    assert training["learning_rate"] == 1e-2
    assert (training["rank"], training["alpha"], training["every"]) == (2, 3.0, 3)
    assert (training["steps"], training["steps_without_scores"]) == (STEPS, 0)
    assert training["merged"] is True
    card = (tmp_path / "c" / "README.md").read_text()
    assert "trained for 20 steps of 4 windows" in card
    compress(plain, tmp_path / "m", PruningSettings((0,)), CalibrationText(text, 2, 16))
    assert "training" not in read_manifest(tmp_path / "m" / "pruned.json").provenance


def test_a_loss_that_is_no_number_fails_with_numbers_and_writes_nothing(
    plain: Path, text: Path, tmp_path: Path
) -> None:
    training = TrainingSettings(epochs=10, batch=4, learning_rate=1e38, every=3)
    settings = PruningSettings((0, 1), 0.5, PrunerName.LORAPRUNE, training=training)
    with pytest.raises(TrialFailed, match=r"loss is nan at step \d+ of 20") as caught:
        compress(plain, tmp_path / "c", settings, CalibrationText(text, 8, 32))
    assert "--learning-rate" in caught.value.hint
    assert "recipe" not in caught.value.hint
    assert list(tmp_path.glob("c*")) == []


def test_memory_that_runs_out_fails_with_numbers(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: Any) -> None:
        raise torch.OutOfMemoryError("tried to allocate 2.00 GiB")

    monkeypatch.setattr(room, "block_importance", no_room)
    with pytest.raises(TrialFailed, match=r"while scores were taken: tried to allocate 2\.00 GiB"):
        LoraPrune()(model, PLAN, WINDOWS)
    assert not any(p.requires_grad for p in model.parameters())


def test_a_training_without_a_single_score_is_said_to_be_one(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MovingAverage, "take", lambda *_: None)
    with pytest.raises(TrialFailed, match="no gradient of steps 1 to 4 was a number"):
        LoraPrune()(model, PLAN, WINDOWS)


def test_too_few_windows_for_a_schedule_are_refused(model: PreTrainedModel) -> None:
    few = Plan(PLAN.rates, training=TrainingSettings(epochs=2, batch=4, every=10))
    with pytest.raises(InvalidInput, match="samples = 8: make 4 steps of 4 in 2 passes") as caught:
        LoraPrune()(model, few, WINDOWS)
    assert caught.value.hint.startswith("use 40 or more")


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", 0), ("batch", 0), ("learning_rate", math.nan), ("alpha", 0.0), ("average", 1.0)],
)
def test_settings_that_mean_nothing_are_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        TrainingSettings(**{field: value})
    assert caught.value.field == field
