"""CFSP's importance of a block, token by token."""

import math

import pytest
import torch
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of
from pruning.statistics.angular_distance import angular_distances

WINDOWS = torch.arange(5 * 40).view(5, 40) * 37 % 256


def slow_distance(fed: list[float], written: list[float]) -> float:
    """``arccos(x . y / (|x| |y|)) / pi``."""
    product = sum(a * b for a, b in zip(fed, written, strict=True))
    lengths = math.sqrt(sum(a * a for a in fed)) * math.sqrt(sum(b * b for b in written))
    if lengths == 0.0:  # the embedding of padding, in some families
        return 1 / 3
    return math.acos(max(-1.0, min(1.0, product / lengths))) / math.pi


def test_it_is_the_mean_angle_between_what_a_block_is_fed_and_writes(
    any_model: PreTrainedModel,
) -> None:
    seen: dict[int, list[float]] = {}
    for index, block in enumerate(blocks_of(any_model)):

        def note(_: object, fed: tuple[torch.Tensor], out: torch.Tensor, at: int = index) -> None:
            rows = zip(fed[0][0].tolist(), out[0].tolist(), strict=True)
            seen.setdefault(at, []).extend(slow_distance(one, other) for one, other in rows)

        block.register_forward_hook(note)
    with torch.no_grad():
        for window in WINDOWS:
            any_model(window[None], use_cache=False)
    expected = {index: sum(found) / len(found) for index, found in seen.items()}
    for block in blocks_of(any_model):
        block._forward_hooks.clear()
    steps: list[int] = []
    found = angular_distances(any_model, WINDOWS, (0, 1, 2), lambda: steps.append(1))
    assert found == pytest.approx(expected, rel=1e-5)
    assert len(set(found.values())) == 3
    assert len(steps) == 3
    assert angular_distances(any_model, WINDOWS, (0, 2)) == pytest.approx(
        {0: expected[0], 2: expected[2]}, rel=1e-5
    )


def test_a_vector_of_no_length_is_taken_for_a_third_of_a_half_turn(llama: PreTrainedModel) -> None:
    """As its authors' code, which takes 1/2 for the cosine that is none."""
    llama.get_parameter("model.embed_tokens.weight")[WINDOWS[0, 0]] = 0.0
    lone = WINDOWS[:1, :1].repeat(2, 2)
    assert angular_distances(llama, lone, (0,))[0] == pytest.approx(1 / 3)
