"""One elastic training against the ordinary trials whose adapters it holds."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from pruning.container.container import load
from rankspace.errors import TrialFailed
from rankspace.recipe import Optimizer
from tuning.back_ends import ADAPTER_BACK_ENDS
from tuning.batches import Passes, schedule
from tuning.elastic.adapter import ElasticAdapter
from tuning.elastic.schemes import Scheme, forms
from tuning.examples import Example, windows
from tuning.measuring import mean_loss
from tuning.training import Training, train

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
STEPS = 8
OPTIMIZER = Optimizer(learning_rate=1e-2, warmup_steps=2, gradient_clip=0.05, weight_decay=0.1)
"""The clipping bites: what has no part in a step must not enter the norm."""


@pytest.fixture
def model(model_directory: Path) -> Any:
    return load(model_directory).model


@pytest.fixture(scope="module")
def examples(text_file: Path, tokenizer: Any) -> tuple[Example, ...]:
    return windows(tokenizer(text_file.read_text()[:4000], verbose=False)["input_ids"], 32)[:80]


@pytest.fixture(scope="module")
def names(model_directory: Path) -> tuple[str, ...]:
    return tuple(matrix.name for matrix in load(model_directory).description.matrices)


def uneven(names: Sequence[str], shift: int = 0) -> dict[str, int]:
    return {name: (i + shift) % 5 for i, name in enumerate(names) if (i + shift) % 5}


def trained(
    model: Any, parameters: Sequence[Any], examples: Sequence[Example], **more: Any
) -> Training:
    batches = schedule(examples[20:], 8, STEPS, seed=3)
    return train(model, parameters, batches, OPTIMIZER, steps=STEPS, passes=Passes(4), **more)


def elastic(model: Any, names: Sequence[str]) -> ElasticAdapter:
    return ElasticAdapter(model, dict.fromkeys(names, 6), alpha_per_rank=2.0, seed=3)


def run_elastic(
    model: Any,
    names: Sequence[str],
    examples: Sequence[Example],
    pool: Sequence[Mapping[str, int]],
    scheme: Scheme = Scheme.SAMPLED,
) -> tuple[ElasticAdapter, Training]:
    adapter = elastic(model, names)
    chosen = forms(adapter, pool, STEPS, 3, scheme)
    return adapter, trained(model, adapter.parameters, examples, forms=chosen)


def ordinary(
    model_directory: Path, ranks: Mapping[str, int], examples: Sequence[Example]
) -> tuple[tuple[float, ...], float]:
    model = load(model_directory).model
    attached = ADAPTER_BACK_ENDS["peft"].attach(model, ranks, alpha_per_rank=2.0, seed=3)
    losses = trained(model, attached.parameters, examples).losses
    return losses, mean_loss(model, examples[:20], CPU)


@pytest.mark.parametrize("scheme", [Scheme.SAMPLED, Scheme.PAIR, Scheme.DIAGONAL])
def test_always_the_same_vector_is_the_ordinary_trial_of_that_vector(
    model: Any,
    model_directory: Path,
    names: tuple[str, ...],
    examples: tuple[Example, ...],
    scheme: Scheme,
) -> None:
    """Ranks 0 to 4 of at most 6, weight decay, and a clipping that bites at every step."""
    ranks = uneven(names)
    adapter, run = run_elastic(model, names, examples, [ranks], scheme)
    adapter.choose(ranks)
    losses, held_out = ordinary(model_directory, ranks, examples)
    assert run.losses == pytest.approx(losses, rel=1e-5)
    assert mean_loss(model, examples[:20], CPU) == pytest.approx(held_out, rel=1e-6)
    assert losses[-1] < losses[0]


def test_beside_the_largest_the_largest_is_the_ordinary_trial(
    model: Any, model_directory: Path, names: tuple[str, ...], examples: tuple[Example, ...]
) -> None:
    largest = dict.fromkeys(names, 6)
    _, run = run_elastic(model, names, examples, [largest], Scheme.LARGEST)
    assert run.losses == pytest.approx(ordinary(model_directory, largest, examples)[0], rel=1e-5)


def test_equal_seeds_give_equal_bits(
    model_directory: Path, names: tuple[str, ...], examples: tuple[Example, ...]
) -> None:
    pool = [uneven(names, shift) for shift in range(4)]
    found = []
    for _ in range(2):
        model = load(model_directory).model
        adapter, run = run_elastic(model, names, examples, pool)
        adapter.choose(pool[1])
        found.append((run.losses, mean_loss(model, examples[:20], CPU)))
    assert found[0] == found[1]


def test_steps_see_all_of_the_pool_and_pairs_two_at_a_time(
    model: Any, names: tuple[str, ...]
) -> None:
    pool = [{names[0]: rank} for rank in (1, 2, 3, 4)]
    adapter = elastic(model, names)
    layer = model.get_submodule(names[0])

    def seen(scheme: Scheme, steps: int) -> list[int]:
        ranks = []
        at = forms(adapter, pool, steps, 0, scheme)
        for step in range(1, steps + 1):
            for take in at(step):
                take()
                ranks.append(layer.rank)
        return ranks

    assert sorted(seen(Scheme.SAMPLED, 4)) == [1, 2, 3, 4]
    assert sorted(seen(Scheme.PAIR, 2)) == [1, 2, 3, 4]
    assert seen(Scheme.LARGEST, 4)[::2] == [6] * 4
    assert seen(Scheme.SAMPLED, 8) != [*seen(Scheme.SAMPLED, 4)] * 2


def test_scoring_at_the_largest_is_scoring_the_plain_adapter_that_is_saved(
    model: Any,
    model_directory: Path,
    names: tuple[str, ...],
    examples: tuple[Example, ...],
    tmp_path: Path,
) -> None:
    """Read by peft itself, an independent oracle."""
    pool = [uneven(names, shift) for shift in range(4)]
    adapter, _ = run_elastic(model, names, examples, pool)
    adapter.choose(adapter.largest)
    ours = mean_loss(model, examples[:20], CPU)
    adapter.save(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # transformers', of what peft asks it
        plain = PeftModel.from_pretrained(load(model_directory).model, str(tmp_path))
    theirs = mean_loss(plain.get_base_model(), examples[:20], CPU)
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_a_saved_adapter_scores_on_another_machine_as_it_did(
    model: Any,
    model_directory: Path,
    names: tuple[str, ...],
    examples: tuple[Example, ...],
    tmp_path: Path,
) -> None:
    pool = [uneven(names, shift) for shift in range(4)]
    adapter, _ = run_elastic(model, names, examples, pool)
    adapter.choose(pool[2])
    before = mean_loss(model, examples[:20], CPU)
    adapter.save(tmp_path)
    other = load(model_directory).model
    loaded = elastic(other, names)
    loaded.load(tmp_path / "adapter_model.safetensors")
    loaded.choose(pool[2])
    assert mean_loss(other, examples[:20], CPU) == before


def test_an_adapter_of_other_ranks_or_no_adapter_is_refused(
    model: Any, model_directory: Path, names: tuple[str, ...], tmp_path: Path
) -> None:
    ElasticAdapter(
        load(model_directory).model, dict.fromkeys(names, 5), alpha_per_rank=2.0, seed=3
    ).save(tmp_path)
    weights = tmp_path / "adapter_model.safetensors"
    adapter = elastic(model, names)
    with pytest.raises(TrialFailed, match="of another study"):
        adapter.load(weights)
    weights.write_bytes(b"no adapter")
    with pytest.raises(TrialFailed, match="cannot be read"):
        adapter.load(weights)
    with pytest.raises(TrialFailed, match="has rank 6, not 7"):
        adapter.choose({names[0]: 7})


def test_detaching_gives_the_model_back_bit_by_bit(
    model: Any, names: tuple[str, ...], examples: tuple[Example, ...]
) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    adapter, _ = run_elastic(model, names, examples, [uneven(names)])
    adapter.detach()
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not any(parameter.requires_grad for parameter in model.parameters())
