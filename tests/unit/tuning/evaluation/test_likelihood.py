from typing import Any

import pytest
import torch

from rankspace.errors import InvalidInput
from tests.unit.tuning.evaluation.slowly import log_likelihood
from tuning.evaluation import likelihood
from tuning.evaluation.likelihood import log_likelihoods
from tuning.examples import Example
from tuning.losses import token_losses

CPU = torch.device("cpu")


def examples(lengths: tuple[tuple[int, int], ...]) -> list[Example]:
    """Examples of so many tokens each, of which so many are only read."""
    draw = torch.Generator().manual_seed(3)
    return [
        Example(torch.randint(3, 500, (length,), generator=draw), prompt)
        for length, prompt in lengths
    ]


MIXED = examples(((9, 4), (31, 30), (2, 1), (17, 1), (31, 12), (64, 50), (5, 2)))


def test_likelihoods_are_those_of_one_token_at_a_time(model: Any) -> None:
    direct = [
        log_likelihood(model, e.tokens[: e.prompt].tolist(), e.tokens[e.prompt :].tolist())
        for e in MIXED
    ]
    assert log_likelihoods(model, MIXED, CPU) == pytest.approx(direct, abs=1e-4)


@pytest.mark.parametrize("batch_tokens", [1, 64, 100, 10_000])
def test_neither_batches_nor_padding_change_a_likelihood(model: Any, batch_tokens: int) -> None:
    alone = [log_likelihoods(model, [one], CPU)[0] for one in MIXED]
    together = log_likelihoods(model, MIXED, CPU, batch_tokens=batch_tokens)
    assert together == pytest.approx(alone, abs=1e-4)


def test_where_memory_runs_out_batches_get_smaller_and_nothing_is_lost(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = log_likelihoods(model, MIXED, CPU)
    real, most = token_losses, 70

    def tight(model: Any, batch: Any) -> Any:
        if batch.inputs.numel() > most:
            raise torch.OutOfMemoryError("out of memory")
        return real(model, batch)

    monkeypatch.setattr(likelihood, "token_losses", tight)
    done: list[tuple[int, int]] = []
    found = log_likelihoods(model, MIXED, CPU, on_progress=lambda *at: done.append(at))
    assert found == pytest.approx(expected, abs=1e-4)
    assert done[-1] == (7, 7)
    monkeypatch.undo()
    most = 60
    monkeypatch.setattr(likelihood, "token_losses", tight)
    with pytest.raises(InvalidInput, match="64 tokens"):
        log_likelihoods(model, MIXED, CPU)


def test_a_model_that_answers_no_number_is_refused(model: Any) -> None:
    weight = model.model.norm.weight
    kept = weight.data.clone()
    try:
        weight.data.fill_(float("nan"))
        with pytest.raises(InvalidInput, match=r"gives sequence \d+ no finite likelihood"):
            log_likelihoods(model, MIXED, CPU)
    finally:
        weight.data.copy_(kept)
