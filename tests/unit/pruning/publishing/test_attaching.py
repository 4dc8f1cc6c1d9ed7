from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pruning.container import container
from pruning.container.contents import survey
from pruning.publishing.adapter import read_adapter
from pruning.publishing.attaching import attached, check_adapter
from rankspace.errors import InvalidInput
from tests.unit.pruning.publishing.conftest import ALPHA_PER_RANK, Recovered, logits_of
from tuning.peft_back_end import PeftBackEnd


def test_a_model_answers_as_trained_while_it_is_attached_and_as_before_after(
    uneven: Recovered,
) -> None:
    model = container.load(uneven.source).model
    before = logits_of(model)
    with attached(model, read_adapter(uneven.adapter)):
        torch.testing.assert_close(logits_of(model), uneven.logits, atol=1e-5, rtol=1e-5)
    assert torch.equal(logits_of(model), before)
    assert not torch.allclose(before, uneven.logits, atol=1e-3)


def test_an_adapter_of_another_model_is_refused_and_leaves_no_trace(uneven: Recovered) -> None:
    model = container.load(uneven.source).model
    before = logits_of(model)
    adapter = dict(read_adapter(uneven.adapter))
    last = list(adapter)[-1]
    adapter[last] = replace(adapter[last], first=adapter[last].first[:, :-1])
    with pytest.raises(InvalidInput, match="shape"), attached(model, adapter):
        pass
    assert torch.equal(logits_of(model), before)


def test_a_model_of_16_bits_answers_as_it_was_trained_to_the_bit(
    uneven: Recovered, tmp_path: Path
) -> None:
    trained = container.load(uneven.source, dtype=torch.bfloat16)
    names = [matrix.name for matrix in trained.description.matrices]
    peft = PeftBackEnd().attach(
        trained.model, dict.fromkeys(names, 3), alpha_per_rank=ALPHA_PER_RANK, seed=1
    )
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in peft.parameters:
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    logits = logits_of(trained.model)
    peft.save(tmp_path / "of_16_bits")
    model = container.load(uneven.source, dtype=torch.bfloat16).model
    with attached(model, read_adapter(tmp_path / "of_16_bits")):
        assert torch.equal(logits_of(model), logits)


def test_an_adapter_is_checked_against_weights_that_are_not_read(uneven: Recovered) -> None:
    contents, adapter = survey(uneven.source), dict(read_adapter(uneven.adapter))
    check_adapter(contents, adapter)
    last = list(adapter)[-1]
    low = adapter[last]
    with pytest.raises(InvalidInput, match="shape"):
        check_adapter(contents, {last: replace(low, second=low.second[:-1])})
    with pytest.raises(InvalidInput, match="no such matrix"):
        check_adapter(contents, {last.replace("layers.", "layers.9"): low})
