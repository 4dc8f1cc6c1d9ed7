"""LoSA's redundancy against linear CKA in feature space, slowly."""

import pytest
import torch
from transformers import PreTrainedModel

from pruning.statistics import hidden_states
from pruning.statistics.hidden_states import HiddenStates
from pruning.statistics.redundancy import redundancies
from rankspace.errors import InvalidInput

WINDOWS = torch.arange(7 * 40).view(7, 40) * 37 % 256


def slow_alignment(first: torch.Tensor, second: torch.Tensor) -> float:
    """``||Y^T X||^2 / (||X^T X|| ||Y^T Y||)`` of features centred over the examples."""
    x, y = (one - one.mean(dim=0) for one in (first, second))
    return float((y.T @ x).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm()))


def test_it_is_what_feature_space_says(any_model: PreTrainedModel) -> None:
    fed = []
    with torch.no_grad():
        for window in WINDOWS:
            answer = any_model(window[None], output_hidden_states=True, use_cache=False)
            fed.append([state[0].flatten().double() for state in answer.hidden_states[:3]])
    inputs = [torch.stack(rows) for rows in zip(*fed, strict=True)]
    sums = {
        i: sum(slow_alignment(inputs[i], inputs[j]) for j in range(3) if j != i) for i in range(3)
    }
    expected = {i: value / sum(sums.values()) for i, value in sums.items()}
    steps: list[int] = []
    found = redundancies(any_model, WINDOWS, (0, 1, 2), lambda: steps.append(1))
    assert found == pytest.approx(expected, rel=1e-5)
    assert len(steps) == 3


def test_only_the_blocks_asked_for_are_compared(llama: PreTrainedModel) -> None:
    found = redundancies(llama, WINDOWS, (0, 2))
    assert found == pytest.approx({0: 0.5, 2: 0.5})
    assert redundancies(llama, WINDOWS, (1,)) == {1: 0.0}


def test_two_windows_tell_no_block_from_another(llama: PreTrainedModel) -> None:
    with pytest.raises(InvalidInput, match="samples = 2: are too few"):
        redundancies(llama, WINDOWS[:2], (0, 1))


def test_gram_matrices_are_summed_over_a_few_tokens_at_a_time(
    llama: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all windows together: in float64 they would take more than all hidden states."""
    states = HiddenStates(llama, WINDOWS)
    whole = states.gram()
    monkeypatch.setattr(hidden_states, "BATCH_TOKENS", 21)
    taken: list[int] = []
    cat = torch.cat

    def noted(some: list[torch.Tensor]) -> torch.Tensor:
        taken.append(some[0].shape[1])
        return cat(some)

    monkeypatch.setattr(torch, "cat", noted)
    torch.testing.assert_close(states.gram(), whole)
    assert taken == [3] * 13 + [1]
