"""Scorer: the loss of what ``compress`` would write, from a dense model that stays as it was."""

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from pruning.container import container
from pruning.container.assembly import blocks_of, matrix_of
from pruning.methods.compression import compress
from pruning.methods.method import Cutting
from pruning.methods.methods import METHODS
from pruning.methods.settings import PrunerName, PruningSettings
from pruning.profiling.calibration_text import CalibrationText, draw_windows
from pruning.rates.rules import Given
from pruning.search.scorer import Scorer, _shared_copy, changes, window_losses

RATES = {0: 0.25, 2: 0.75}
HELD_OUT = torch.arange(120).view(5, 24) * 29 % 256
CUTTING = [
    name
    for name, method in METHODS.items()
    if isinstance(method, Cutting) and not method.changes_weights
]


@pytest.mark.parametrize("name", CUTTING)
def test_a_loss_is_that_of_the_container_that_compress_writes(
    name: PrunerName, plain: Path, text: Path, tmp_path: Path
) -> None:
    calibration = CalibrationText(text, 4, 16)
    settings = PruningSettings((0, 2), 0.5, name, "local", 1, Given(RATES))
    compress(plain, tmp_path / "c", settings, calibration)
    written = container.load(tmp_path / "c").model
    loaded = container.load(plain)
    before = {key: tensor.clone() for key, tensor in loaded.model.state_dict().items()}
    looked = draw_windows(calibration, loaded.tokenizer)
    scorer = Scorer(loaded.model, changes(METHODS[name], loaded.model, (0, 2), looked, 1))
    other = scorer.losses({0: 0.75, 2: 0.25}, HELD_OUT)
    found = scorer.losses(RATES, HELD_OUT)
    assert found is not None
    assert found == pytest.approx(by_hand(written), rel=1e-5)
    assert scorer.loss(RATES, HELD_OUT) == pytest.approx(sum(found) / len(found))
    assert other != found
    assert all(torch.equal(before[key], t) for key, t in loaded.model.state_dict().items())
    widths = [matrix_of(b, "down_proj").in_features for b in blocks_of(loaded.model)]
    assert widths == [24] * 3


@torch.no_grad()
def by_hand(model: PreTrainedModel) -> list[float]:
    losses = []
    for window in HELD_OUT:
        logits = model(input_ids=window[None]).logits[0].double().log_softmax(-1)
        said = [float(logits[place, token]) for place, token in enumerate(window[1:].tolist())]
        losses.append(-sum(said) / len(said))
    return losses


def test_a_copy_holds_no_tensor_twice(llama: PreTrainedModel) -> None:
    copied = _shared_copy(llama)
    theirs = {t.data_ptr() for t in llama.parameters()}
    assert {t.data_ptr() for t in copied.parameters()} == theirs
    assert matrix_of(blocks_of(copied)[0], "q_proj") is not matrix_of(blocks_of(llama)[0], "q_proj")


def test_a_model_that_gives_no_number_has_no_loss(llama: PreTrainedModel) -> None:
    assert window_losses(llama, HELD_OUT) is not None
    llama.get_parameter("model.norm.weight").fill_(float("nan"))
    assert window_losses(llama, HELD_OUT) is None
    scorer = Scorer(llama, changes(METHODS[PrunerName.MAGNITUDE], llama, (0, 2), HELD_OUT, 0))
    assert scorer.loss(RATES, HELD_OUT) == float("inf")
