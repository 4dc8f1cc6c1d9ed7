"""The pass sees what a whole forward pass sees, in every family, and feeds on what is left."""

import gc
import weakref
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from pruning.container import container
from pruning.container.assembly import blocks_of
from pruning.container.structure import MODULES
from pruning.methods.surgery import Kept, shrink
from pruning.statistics.passage import BlockStatistics, Left, visit_blocks
from tests.unit.pruning.removed.conftest import Halve, halve  # noqa: F401  # a fixture
from tests.unit.pruning.statistics.inputs import seen

WINDOWS = torch.arange(11 * 48).view(11, 48) * 37 % 256
"""Five run together, five, and one; longer than the windows of attention that slide."""


def check(statistics: BlockStatistics, expected: Mapping[str, torch.Tensor]) -> None:
    assert list(statistics) == list(expected)
    for kind, rows in expected.items():
        found = statistics[kind]
        assert found.count == len(rows)
        theirs = (rows.mean(0), rows.var(0), rows.norm(dim=0))
        ours = (found.mean, found.variance, found.norm)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def of_block(inputs: Mapping[tuple[int, str], torch.Tensor], index: int) -> dict[str, torch.Tensor]:
    return {kind: inputs[index, kind] for kind in MODULES if (index, kind) in inputs}


def test_every_matrix_is_seen_as_in_a_forward_pass(any_model: PreTrainedModel) -> None:
    before = {name: tensor.clone() for name, tensor in any_model.state_dict().items()}
    expected = seen(any_model, WINDOWS)
    shown = []

    def visit(index: int, statistics: BlockStatistics) -> None:
        shown.append(index)
        check(statistics, of_block(expected, index))

    visit_blocks(any_model, WINDOWS, (0, 1, 2), visit, kinds=MODULES)
    assert shown == [0, 1, 2]
    assert all(torch.equal(before[name], t) for name, t in any_model.state_dict().items())
    assert seen(any_model, WINDOWS[:1]).keys() == expected.keys()


def test_halves_that_are_gone_are_passed_through(
    any_model: PreTrainedModel,
    halve: Halve,  # noqa: F811
) -> None:
    model = container.load(halve(any_model).directory).model
    expected = seen(model, WINDOWS)
    shown: dict[int, list[str]] = {}

    def visit(index: int, statistics: BlockStatistics) -> None:
        shown[index] = list(statistics)
        check(statistics, of_block(expected, index))

    visit_blocks(model, WINDOWS, (0, 1, 2), visit, kinds=MODULES)
    assert shown == {0: list(MODULES), 1: list(MODULES[4:]), 2: list(MODULES[:4])}


def test_what_is_left_feeds_the_next_as_if_the_rest_were_cut(prunable: PreTrainedModel) -> None:
    kept = Kept((2, 3, 6, 7), (1, 3), (0, 5, 23))
    queries = torch.zeros(8, 4, dtype=torch.bool)
    queries[[2, 3, 6, 7]] = True
    channels = torch.zeros(24, dtype=torch.bool)
    channels[[0, 5, 23]] = True
    left: Left = {"o_proj": queries.flatten(), "down_proj": channels}
    norms = []

    def visit(index: int, statistics: BlockStatistics) -> Left | None:
        norms.append(statistics["q_proj"].norm)
        return left if index == 0 else None

    visit_blocks(prunable, WINDOWS, (0, 2), visit, kinds=("q_proj",))
    dense = seen(prunable, WINDOWS)
    shrink(prunable, 0, kept)
    expected = seen(prunable, WINDOWS)[2, "q_proj"].norm(dim=0)
    torch.testing.assert_close(norms[1], expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(norms[1], dense[2, "q_proj"].norm(dim=0), rtol=1e-3)


def test_what_is_fed_alike_is_counted_once_and_gram_where_asked(llama: PreTrainedModel) -> None:
    rows = seen(llama, WINDOWS)[1, "down_proj"].float()

    def visit(_index: int, statistics: BlockStatistics) -> None:
        assert statistics["q_proj"] is statistics["v_proj"]
        assert statistics["gate_proj"] is statistics["up_proj"]
        gram = statistics["down_proj"].gram
        torch.testing.assert_close(gram, rows.T @ rows, rtol=1e-3, atol=1e-3)
        with pytest.raises(AssertionError, match="not asked for"):
            _ = statistics["q_proj"].gram

    visit_blocks(llama, WINDOWS, (1,), visit, kinds=MODULES, gram=("down_proj",))


def test_the_statistics_of_one_block_are_held_at_a_time(llama: PreTrainedModel) -> None:
    kept: list[weakref.ref[Any]] = []

    def visit(_index: int, statistics: BlockStatistics) -> None:
        gc.collect()
        assert [one for one in kept if one() is not None] == []
        kept.append(weakref.ref(statistics["o_proj"]))

    visit_blocks(llama, WINDOWS, (0, 1, 2), visit, kinds=("o_proj",))
    assert len(kept) == 3


def test_the_pass_ends_with_the_last_block_that_is_asked_for(llama: PreTrainedModel) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the block behind was run")

    blocks_of(llama)[2].register_forward_pre_hook(refuse)
    steps: list[int] = []
    visit_blocks(
        llama, WINDOWS, (1,), lambda *_: None, kinds=("o_proj",), step=lambda: steps.append(1)
    )
    assert len(steps) == 2


def test_what_the_whole_block_writes_is_gone_when_the_rest_is_run(llama: PreTrainedModel) -> None:
    written: list[weakref.ref[Any]] = []
    left: Left = {"down_proj": torch.zeros(24, dtype=torch.bool)}

    def note(_module: Any, _arguments: Any, output: torch.Tensor) -> None:
        if len(written) == 3:  # parts of the first run: the second begins
            gc.collect()
            assert [one for one in written if one() is not None] == []
        written.append(weakref.ref(output))

    blocks_of(llama)[0].register_forward_hook(note)
    visit_blocks(llama, WINDOWS, (0,), lambda *_: left, kinds=("o_proj",))
    assert len(written) == 6
