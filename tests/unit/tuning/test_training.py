import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from pruning.container.container import load
from rankspace.errors import TrialFailed
from rankspace.recipe import Optimizer
from tuning.back_ends import ADAPTER_BACK_ENDS
from tuning.batches import Passes, batched, collate, schedule
from tuning.examples import Example, windows
from tuning.losses import measured_loss, summed_loss
from tuning.measuring import mean_loss, text_losses
from tuning.training import Training, learning_rate, train

CPU = torch.device("cpu")


@pytest.fixture
def model(model_directory: Path) -> Any:
    return load(model_directory).model.requires_grad_(True)


@pytest.fixture(scope="module")
def answers(text_file: Path, tokenizer: Any) -> tuple[Example, ...]:
    """80 examples of 10 to 38 tokens, the first 1 to 6 of which are only read."""
    tokens = torch.tensor(tokenizer(text_file.read_text()[:4000], verbose=False)["input_ids"])
    return tuple(Example(tokens[i * 40 :][: 10 + i * 7 % 29], 1 + i % 6) for i in range(80))


def fit(model: Any, examples: Sequence[Example], **changes: Any) -> Training:
    steps, passes = changes.pop("steps", 8), Passes(changes.pop("micro", 8))
    passes = changes.pop("passes", passes)
    on_step = changes.pop("on_step", None)
    optimizer = Optimizer(**{"learning_rate": 1e-2, **changes})
    batches = schedule(examples, 8, steps, seed=0)
    parameters = list(model.parameters())
    return train(model, parameters, batches, optimizer, steps=steps, passes=passes, on_step=on_step)


def exhaust(model: Any, most: int, spared: int = 0) -> list[int]:
    """Let ``model`` run out of memory above ``most`` rows, after the first ``spared`` passes.

    Returns:
        The batch sizes it sees.
    """
    seen: list[int] = []

    def hook(_: Any, arguments: Any, named: Any) -> None:
        seen.append(len(named["input_ids"]))
        if seen[-1] > most and len(seen) > spared:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    model.get_decoder().register_forward_pre_hook(hook, with_kwargs=True)
    return seen


def test_the_loss_is_that_of_transformers_with_a_mask(
    model: Any, answers: tuple[Example, ...]
) -> None:
    """An independent oracle: the library's own padded, masked, labelled forward."""
    chosen = answers[:5]
    longest = max(len(e.tokens) for e in chosen)
    ids, mask = torch.zeros(5, longest, dtype=torch.int64), torch.zeros(5, longest)
    labels = torch.full((5, longest), -100)
    for row, e in enumerate(chosen):
        ids[row, : len(e.tokens)] = e.tokens
        mask[row, : len(e.tokens)] = 1
        labels[row, e.prompt : len(e.tokens)] = e.tokens[e.prompt :]
    theirs = model(input_ids=ids, attention_mask=mask, labels=labels).loss.item()
    ours = summed_loss(model, collate(chosen, CPU)).item() / sum(e.targets for e in chosen)
    assert ours == pytest.approx(theirs, rel=1e-5)


def test_measuring_in_slices_changes_nothing(
    model: Any, answers: tuple[Example, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = collate(answers[:5], CPU)
    whole = summed_loss(model, batch).item()
    monkeypatch.setattr("tuning.losses.MOST_LOGITS", 258 * 7)
    assert measured_loss(model, batch).item() == pytest.approx(whole, rel=1e-6)


def test_the_mean_is_weighted_by_tokens(model: Any, answers: tuple[Example, ...]) -> None:
    each = [summed_loss(model, collate([e], CPU)).item() for e in answers[:30]]
    expected = sum(each) / sum(e.targets for e in answers[:30])
    assert mean_loss(model, answers[:30], CPU) == pytest.approx(expected, rel=1e-5)


def test_losses_by_text_are_those_of_each_text_in_the_order_given(
    model: Any, answers: tuple[Example, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = answers[:9]
    each = [summed_loss(model, collate([e], CPU)).item() for e in chosen]
    found = text_losses(model, chosen, CPU)
    assert found.losses == pytest.approx(each, rel=1e-5)
    assert found.tokens == tuple(e.targets for e in chosen)
    assert found.mean == pytest.approx(mean_loss(model, chosen, CPU), rel=1e-6)
    monkeypatch.setattr("tuning.measuring.MOST_TEXTS", 4)
    grouped = text_losses(model, chosen, CPU)
    pairs = [(0, 2), (2, 4), (4, 6), (6, 9)]
    assert grouped.losses == pytest.approx([sum(each[a:b]) for a, b in pairs], rel=1e-5)
    assert sum(grouped.tokens) == sum(found.tokens)


def test_batches_to_measure_keep_to_their_size(answers: tuple[Example, ...]) -> None:
    parts = batched(answers, 600)
    assert sorted(id(e) for part in parts for e in part) == sorted(map(id, answers))
    assert all(len(part) * max(len(e.tokens) for e in part) <= 600 for part in parts)
    assert [len(part) for part in batched(answers[:3], 1)] == [1, 1, 1]


@pytest.mark.parametrize("micro", [1, 2, 4])
def test_accumulation_is_one_large_batch(
    model_directory: Path, answers: tuple[Example, ...], micro: int
) -> None:
    whole, parts = load(model_directory).model, load(model_directory).model
    first = fit(whole.requires_grad_(True), answers, steps=3)
    second = fit(parts.requires_grad_(True), answers, steps=3, micro=micro)
    assert second.losses == pytest.approx(first.losses, rel=1e-5)
    assert second.tokens == first.tokens


def test_passes_by_tokens_are_one_large_batch(
    model_directory: Path, answers: tuple[Example, ...]
) -> None:
    whole, parts = load(model_directory).model, load(model_directory).model
    seen = exhaust(parts, most=8)
    first = fit(whole.requires_grad_(True), answers, steps=3)
    second = fit(parts.requires_grad_(True), answers, steps=3, passes=Passes(2, 38))
    assert second.losses == pytest.approx(first.losses, rel=1e-5)
    assert max(seen) > 2  # of short examples more than of the longest


@pytest.mark.slow
def test_training_learns_and_counts_tokens_without_padding(
    model: Any, answers: tuple[Example, ...]
) -> None:
    trained = fit(model, answers, steps=20)
    assert trained.losses[0] > 5
    assert trained.final_loss < 3
    expected = sum(len(e.tokens) for step in schedule(answers, 8, 20, 0) for e in step)
    assert trained.tokens == expected


def test_the_rate_warms_up_and_decays_to_nothing() -> None:
    optimizer = Optimizer(learning_rate=1.0, warmup_steps=4)
    rates = [learning_rate(optimizer, step, 40) for step in range(1, 41)]
    assert rates[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert max(rates) == rates[4] == 1.0
    assert rates[-1] == pytest.approx(1 / 36)
    falls = [a - b for a, b in pairwise(rates[4:])]
    assert falls == pytest.approx([1 / 36] * 35)


def test_warm_up_takes_a_tenth_at_most() -> None:
    optimizer = Optimizer(learning_rate=1.0, warmup_steps=100)
    assert learning_rate(optimizer, 3, 20) == 1.0
    assert learning_rate(optimizer, 1, 5) == 1.0


def test_a_loss_that_is_not_finite_fails_with_numbers(
    model: Any, answers: tuple[Example, ...]
) -> None:
    with pytest.raises(TrialFailed, match=r"loss is (nan|inf) at step \d of 8 .*rate 8\.75e\+29"):
        fit(model, answers, learning_rate=1e30, gradient_clip=1e30, warmup_steps=0)


@pytest.mark.slow
def test_out_of_memory_halves_the_micro_batch_and_repeats_the_step(
    model_directory: Path, answers: tuple[Example, ...]
) -> None:
    roomy, tight = load(model_directory).model, load(model_directory).model
    expected = fit(roomy.requires_grad_(True), answers, steps=3)
    seen = exhaust(tight, most=2)
    trained = fit(tight.requires_grad_(True), answers, steps=3)
    assert seen == [8, 4, *[2] * 12]
    assert trained.passes == Passes(2)
    assert trained.losses == pytest.approx(expected.losses, rel=1e-5)
    assert trained.tokens == expected.tokens


def test_a_repeated_step_forgets_the_gradients_of_its_first_try(
    model_directory: Path, answers: tuple[Example, ...]
) -> None:
    roomy, tight = load(model_directory).model, load(model_directory).model
    fit(roomy.requires_grad_(True), answers, steps=1, micro=2)
    seen = exhaust(tight, most=2, spared=1)
    fit(tight.requires_grad_(True), answers, steps=1, micro=4)
    assert seen == [4, 4, 2, 2, 2, 2]
    pairs = zip(tight.parameters(), roomy.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_adapters_compute_in_the_type_of_the_base(
    model_directory: Path, answers: tuple[Example, ...], dtype: torch.dtype
) -> None:
    model: Any = load(model_directory, dtype=dtype).model
    ranks = {"model.layers.1.mlp.up_proj": 2}
    attached = ADAPTER_BACK_ENDS["peft"].attach(model, ranks, alpha_per_rank=2.0, seed=0)
    seen: list[torch.dtype] = []
    adapter = model.get_submodule("model.layers.1.mlp.up_proj.lora_B.default")
    adapter.register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    train(model, attached.parameters, [answers[:4]], Optimizer(), steps=1, passes=Passes(4))
    mean_loss(model, answers[:4], CPU)
    assert seen == [dtype, dtype]
    assert {parameter.dtype for parameter in attached.parameters} == {torch.float32}


def test_out_of_memory_with_one_example_fails_with_the_numbers(
    model: Any, answers: tuple[Example, ...]
) -> None:
    assert exhaust(model, most=0) == []
    with pytest.raises(TrialFailed, match=r"step 1 with one example.*allocate 2 GiB"):
        fit(model, answers)


@pytest.mark.slow
def test_measuring_halves_its_batches_too(model: Any, answers: tuple[Example, ...]) -> None:
    expected = mean_loss(model, answers, CPU)
    exhaust(model, most=20)
    assert mean_loss(model, answers, CPU) == pytest.approx(expected, rel=1e-6)
    exhaust(model, most=0)
    with pytest.raises(TrialFailed, match="out of memory measuring one example"):
        mean_loss(model, answers, CPU)


def test_another_runtime_error_is_not_taken_for_memory(
    model: Any, answers: tuple[Example, ...]
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("shapes do not match")

    model.get_decoder().register_forward_pre_hook(broken)
    with pytest.raises(RuntimeError, match="shapes"):
        fit(model, answers)


def test_the_callback_stops_after_a_step(model: Any) -> None:
    seen: list[tuple[int, float]] = []

    def stop(step: int, loss: float) -> bool:
        seen.append((step, loss))
        return step == 3

    trained = fit(model, windows(list(range(200)), 8), on_step=stop)
    assert [step for step, _ in seen] == [1, 2, 3]
    assert tuple(loss for _, loss in seen) == trained.losses


def test_no_step_has_no_final_loss() -> None:
    assert math.isnan(Training((), 0, Passes(1)).final_loss)
