"""What a matrix is fed, as few directions: against SVD, by hand, and as peft's EVA sees it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft.utils.incremental_pca import IncrementalPCA

from bench.eva import Spending, our_ranks, peft_ranks
from pruning.container import container
from pruning.container.assembly import blocks_of, matrix_of
from pruning.container.container import LoadedModel
from pruning.container.structure import MODULES, matrix_name
from pruning.profiling.calibration_text import CalibrationText, draw_windows
from pruning.profiling.input_spectrum import (
    InputSpectra,
    InputSpectrum,
    components_for,
)
from pruning.profiling.profile import profile
from rankspace.errors import InvalidInput
from rankspace.layer_profile import MOST_SHARES

pytestmark = pytest.mark.slow


def tokens(count: int, width: int) -> torch.Tensor:
    """Vectors whose directions count ever less, around a mean that is far from 0."""
    generator = torch.Generator().manual_seed(0)
    scales = 0.8 ** torch.arange(width)
    rotation = torch.linalg.qr(torch.randn(width, width, generator=generator)).Q
    drawn = torch.randn(count, width, generator=generator)
    return torch.matmul(drawn * scales, rotation) + 5.0


def by_svd(inputs: torch.Tensor) -> torch.Tensor:
    centred = inputs.double() - inputs.double().mean(dim=0)
    squares = torch.linalg.svdvals(centred).square()
    return torch.div(squares, squares.sum())


@pytest.mark.parametrize("sizes", [(40,), (7, 1, 20, 12)], ids=["at once", "in batches"])
def test_the_spectrum_is_that_of_an_svd(sizes: tuple[int, ...]) -> None:
    inputs = tokens(40, 24)
    spectrum = InputSpectrum(48)
    for part in torch.split(inputs, list(sizes)):
        spectrum.add(part)
    assert spectrum.explained(8) == pytest.approx(by_svd(inputs)[:8].tolist(), rel=1e-4)


def test_many_tokens_are_kept_in_few_rows_and_nearly_as_exactly() -> None:
    inputs = tokens(5_000, 64)
    spectrum = InputSpectrum(16)
    for part in torch.split(inputs, 50):
        spectrum.add(part)
    assert spectrum._basis is not None
    assert len(spectrum._basis) == 16
    assert spectrum.explained(8) == pytest.approx(by_svd(inputs)[:8].tolist(), rel=2e-3)


@pytest.mark.parametrize(("power", "least"), [(0.0, 0.86), (0.5, 0.9)], ids=["flat", "falling"])
def test_shares_of_inputs_without_structure_are_an_eighth_too_low_at_most(
    power: float, least: float
) -> None:
    width = 512
    drawn = torch.randn(1_280, width, generator=torch.Generator().manual_seed(0))
    inputs = drawn * torch.arange(1, width + 1) ** (-power / 2)
    exact = by_svd(inputs)
    for components in (1, 64):
        spectra = InputSpectra(components)
        for part in torch.split(inputs, 64):
            spectra.add("x", part)
        told = torch.tensor(spectra.explained()["x"]) / exact[:components]
        assert least < float(told.min()) <= float(told.max()) < 1.0


def test_a_direction_is_seen_beside_one_that_holds_a_million_times_more() -> None:
    inputs = torch.zeros(64, 8)
    inputs[:, 0] = 1000.0 * torch.randn(64, generator=torch.Generator().manual_seed(1))
    inputs[:, 1] = torch.arange(64) % 2
    spectrum = InputSpectrum(4)
    spectrum.add(inputs)
    assert spectrum.explained(2) == pytest.approx(by_svd(inputs)[:2].tolist(), rel=1e-3)


def test_there_are_zeros_beyond_the_input_and_where_it_never_changes() -> None:
    spectrum, constant = InputSpectrum(16), InputSpectrum(16)
    spectrum.add(tokens(40, 3))
    constant.add(torch.ones(10, 3))
    assert spectrum.explained(5)[3:] == (0.0, 0.0)
    assert sum(spectrum.explained(5)) == pytest.approx(1.0, rel=1e-5)
    assert constant.explained(2) == InputSpectrum(4).explained(2) == (0.0, 0.0)


def test_what_rounding_leaves_of_a_direction_is_nothing() -> None:
    mixed = tokens(40, 3) @ torch.randn(3, 24, generator=torch.Generator().manual_seed(2))
    spectrum = InputSpectrum(16)
    spectrum.add(mixed)
    assert by_svd(mixed)[3] > 0.0
    assert spectrum.explained(5)[3:] == (0.0, 0.0)


def test_so_many_components_are_kept_as_there_is_room_for() -> None:
    assert components_for(224, 640) == 64
    assert components_for(224, 33) == 32
    assert components_for(20_000, 640) == 1
    assert components_for(2 * MOST_SHARES, 640) == 0
    assert components_for(224, 640, 128) == 128
    with pytest.raises(InvalidInput, match=r"components.*31.*32 tokens"):
        components_for(224, 32, 32)
    with pytest.raises(InvalidInput, match=r"0 to 39, for 1,000 matrices"):
        components_for(1_000, 640, 80)


def test_matrices_that_are_fed_the_same_explain_the_same(loaded: LoadedModel, text: Path) -> None:
    windows = draw_windows(CalibrationText(text, 4, 32), loaded.tokenizer)
    seen: list[torch.Tensor] = []
    matrix = matrix_of(blocks_of(loaded.model)[1], "down_proj")
    handle = matrix.register_forward_hook(lambda _m, given, _o: seen.append(given[0].flatten(0, 1)))
    loaded.model(input_ids=windows)
    handle.remove()
    found = {one.name: one.explained for one in profile(loaded, windows, components=12)}
    kinds = {kind: found[matrix_name(1, kind)] for kind in MODULES}
    query, gate = kinds["q_proj"], kinds["gate_proj"]
    assert query == kinds["k_proj"] == kinds["v_proj"]
    assert gate == kinds["up_proj"]
    assert len({query, gate, kinds["o_proj"], kinds["down_proj"]}) == 4
    by_hand = by_svd(torch.cat(seen))[:12]
    assert kinds["down_proj"] == pytest.approx(by_hand.tolist(), rel=1e-3)


def test_what_several_matrices_are_fed_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    add = InputSpectrum.add

    def counting(spectrum: InputSpectrum, inputs: torch.Tensor) -> None:
        looked.append(len(inputs))
        add(spectrum, inputs)

    monkeypatch.setattr(InputSpectrum, "add", counting)
    spectra = InputSpectra(2)
    for batch in torch.split(tokens(20, 4), 10):
        shared, own = batch[None], batch[None] ** 2
        for name, inputs in (("q", shared), ("k", shared), ("o", own)):
            spectra.add(name, inputs)
    assert looked == [10] * 4
    found = spectra.explained()
    assert found["q"] == found["k"] != found["o"]


def test_no_components_are_kept_where_none_are_asked_for(loaded: LoadedModel, text: Path) -> None:
    windows = draw_windows(CalibrationText(text, 2, 16), loaded.tokenizer)
    assert {one.explained for one in profile(loaded, windows, components=0)} == {()}


def test_a_model_whose_numbers_are_none_is_refused_by_its_loss(
    loaded: LoadedModel, text: Path
) -> None:
    with torch.no_grad():
        matrix_of(blocks_of(loaded.model)[0], "down_proj").weight.fill_(float("inf"))
    with pytest.raises(InvalidInput, match="its loss on the calibration text"):
        profile(loaded, draw_windows(CalibrationText(text, 2, 16), loaded.tokenizer))


def test_the_ranks_are_those_that_peft_gives_on_the_same_tokens(stories: Path) -> None:
    """At one parameter a rank, and all ranks allowed: peft counts ranks, not parameters."""
    model, spending = container.load(stories), Spending(rank=3, rho=2)
    windows = draw_windows(CalibrationText(stories / "sample.txt", 8, 64), model.tokenizer)
    theirs = peft_ranks(model, windows, spending)
    assert len(set(theirs.values())) > 3
    assert our_ranks(profile(model, windows), spending) == theirs


def test_the_shares_are_those_of_pefts_own_pca() -> None:
    inputs = tokens(400, 32)
    theirs: Any = IncrementalPCA(n_components=6, lowrank=True, lowrank_seed=42)
    ours = InputSpectrum(12)
    for part in torch.split(inputs, 40):
        theirs.partial_fit(part)
        ours.add(part)
    assert ours.explained(6) == pytest.approx(theirs.explained_variance_ratio_.tolist(), rel=2e-2)
