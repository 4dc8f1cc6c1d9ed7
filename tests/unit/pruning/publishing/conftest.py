"""An unevenly cut stories260k with an adapter of mixed ranks, and what both answer together."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from pruning.container import container
from pruning.methods.surgery import Kept, shrink
from pruning.publishing.card import Origin
from tuning.peft_back_end import PeftBackEnd

ALPHA_PER_RANK = 2.0
IDS = torch.arange(1, 41)[None] * 7 % 500

UNEVEN = {
    1: Kept((2, 3, 6, 7), (1, 3), tuple(range(0, 172, 5))),
    3: Kept(tuple(range(8)), (0, 1, 2, 3), tuple(range(90))),
}


@dataclass(frozen=True)
class Recovered:
    """A container, an adapter beside it, and the logits that they give for ``IDS``."""

    source: Path
    adapter: Path
    origin: Origin
    logits: torch.Tensor


@torch.no_grad()
def logits_of(model: PreTrainedModel) -> torch.Tensor:
    answer: torch.Tensor = model(input_ids=IDS).logits
    return answer


def recovered(source: Path, directory: Path) -> Recovered:
    """Give the model at ``source`` an adapter as if it had been trained."""
    loaded = container.load(source)
    names = [matrix.name for matrix in loaded.description.matrices]
    ranks = {name: 1 + index % 3 for index, name in enumerate(names) if index % 4}
    attached = PeftBackEnd().attach(loaded.model, ranks, alpha_per_rank=ALPHA_PER_RANK, seed=1)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in attached.parameters:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(0.03 * noise)
    logits = logits_of(loaded.model)
    attached.save(directory)
    fingerprint = loaded.description.fingerprint
    origin = Origin("tiny", str(source), fingerprint, "ab" * 32, {"steps": 3}, "## Verdict", None)
    return Recovered(source, directory, origin, logits)


@pytest.fixture(scope="session")
def made_uneven(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Recovered:
    directory = tmp_path_factory.mktemp("uneven")
    dense = container.load(stories)
    for index, kept in UNEVEN.items():
        shrink(dense.model, index, kept)
    container.write(dense.model, dense.tokenizer, directory / "pruned", provenance={})
    return recovered(directory / "pruned", directory / "adapter")


@pytest.fixture(scope="session")
def made_even(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Recovered:
    directory = tmp_path_factory.mktemp("even")
    dense = container.load(stories)
    del dense.model.model.layers[2]
    dense.model.config.num_hidden_layers = 4
    for index in range(4):
        shrink(dense.model, index, UNEVEN[1])
    container.write(
        dense.model, dense.tokenizer, directory / "even", provenance={}, original=(0, 1, 3, 4)
    )
    return recovered(directory / "even", directory / "even-adapter")


def copied(made: Recovered, directory: Path) -> Recovered:
    """Copy what was ``made`` once, for a test that may change it."""
    source, adapter = (
        Path(shutil.copytree(one, directory / one.name)) for one in (made.source, made.adapter)
    )
    origin = replace(made.origin, base=str(source))
    return replace(made, source=source, adapter=adapter, origin=origin)


@pytest.fixture
def uneven(made_uneven: Recovered, tmp_path: Path) -> Recovered:
    return copied(made_uneven, tmp_path)


@pytest.fixture
def even(made_even: Recovered, tmp_path: Path) -> Recovered:
    """All blocks cut alike, one of them dropped."""
    return copied(made_even, tmp_path)
